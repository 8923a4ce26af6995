//! Patterns of file names, and what a file that is an input by itself is called.
//!
//! In: `web/*.parquet`, held against the end of a path. Out: whether it fits, and the part of the path that it describes,
//! which is then the file's name in the file log wherever it was found.

use std::fmt;
use std::path::{Component, Path};

use crate::feed::row_issue::clip;
use crate::{Error, Result};

/// Patterns of one mapping that a message shows, and bytes of each.
const SHOWN: usize = 5;
const SHOWN_BYTES: usize = 120;

/// A pattern over the last parts of a path: `*` and `?` within a part, `**` for any number of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<String> = text.trim_start_matches("./").split('/').map(str::to_string).collect();
        if parts.iter().any(|part| part.is_empty() || part == ".." || part == ".") || parts.iter().all(|p| p == "**") {
            return Err(Error::configuration(format!(
                "files = {:?}: give the end of a path, as in \"web/*.parquet\" or \"**/hits/*.csv\"",
                clip(text, SHOWN_BYTES)
            )));
        }
        Ok(Self(parts))
    }

    /// The end of `path` that the pattern describes, the shortest one.
    pub fn end_of(&self, path: &Path) -> Option<String> {
        let parts = parts(path);
        (1..=parts.len()).find_map(|count| {
            let end = &parts[parts.len() - count..];
            fits(&self.0, end).then(|| end.join("/"))
        })
    }
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Patterns as messages show them: the first of many, and of each a short piece.
pub fn shown(patterns: &[Pattern]) -> String {
    let some = patterns.iter().take(SHOWN).map(|pattern| format!("{:?}", clip(&pattern.to_string(), SHOWN_BYTES)));
    let more = (patterns.len() > SHOWN).then(|| format!("{} more", patterns.len() - SHOWN));
    some.chain(more).collect::<Vec<_>>().join(", ")
}

/// The parts of a path that have names.
fn parts(path: &Path) -> Vec<String> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    named.collect()
}

fn fits(pattern: &[String], parts: &[String]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => (0..=parts.len()).any(|skipped| fits(rest, &parts[skipped..])),
        (Some((first, rest)), Some((part, more))) => part_fits(first.as_bytes(), part.as_bytes()) && fits(rest, more),
        _ => false,
    }
}

/// `*` is any text and `?` any character of one part; the last star alone is ever moved, so that no name takes long.
fn part_fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(sign) if *sign == b'?' || *sign == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|sign| *sign == b'*')
}

/// A value that the name of a folder says: `dt=2026-09-01`.
pub type FolderValue = (String, String);

/// The values that the folders right above a file say, outermost first.
pub fn folder_values(path: &Path) -> Vec<FolderValue> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let parts = parts(&absolute);
    let above = parts.split_last().map_or(&[][..], |(_, above)| above);
    let mut values: Vec<FolderValue> = above.iter().rev().map_while(|part| folder_value(part)).collect();
    values.reverse();
    values
}

fn folder_value(part: &str) -> Option<FolderValue> {
    let (name, value) = part.split_once('=')?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    // Hive escapes what a folder cannot be called, and has a word for no value
    let value = percent_decoded(value);
    plain.then(|| (name.to_string(), if value == "__HIVE_DEFAULT_PARTITION__" { String::new() } else { value }))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (vec![], 0);
    while at < bytes.len() {
        let hex =
            text.get(at + 1..at + 3).filter(|hex| bytes[at] == b'%' && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What a file is called whose path below what was given is `below`: that path after `label`, which tells what was given from
/// what else was, or after the folders right above it whose names say values, so that `dt=1/part-0.csv` is called so from
/// wherever it is given.
pub fn name_of(path: &Path, label: &Path, below: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (all, label, below) = (parts(&absolute), parts(label), parts(below));
    let above = &all[..all.len().saturating_sub(below.len())];
    let of_values = above.iter().rev().take_while(|part| folder_value(part).is_some()).count();
    let before = if of_values >= label.len() { &above[above.len() - of_values..] } else { &label[..] };
    before.iter().chain(&below).map(String::as_str).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_describe_the_end_of_a_path() {
        let end = |pattern: &str, path: &str| Pattern::parse(pattern).unwrap().end_of(Path::new(path));
        assert_eq!(end("*.csv", "/in/web/a.csv"), Some("a.csv".into()));
        assert_eq!(end("web/*.csv", "/in/web/a.csv"), Some("web/a.csv".into()));
        assert_eq!(end("web/*.csv", "/in/app/a.csv"), None);
        assert_eq!(end("web/**/*.csv", "/in/web/2026/09/a.csv"), Some("web/2026/09/a.csv".into()));
        assert_eq!(end("web/**/*.csv", "/in/web/a.csv"), Some("web/a.csv".into()));
        assert_eq!(end("crm_????.tsv", "crm_2026.tsv"), Some("crm_2026.tsv".into()));
        assert_eq!(end("crm_????.tsv", "crm_26.tsv"), None);
        assert_eq!(
            end("dt=*/part-*.parquet", "x/dt=2026-09-01/part-0.parquet"),
            Some("dt=2026-09-01/part-0.parquet".into())
        );
        // a pattern that would try every way of splitting takes no time
        assert_eq!(end(&"*a".repeat(20), &format!("{}b", "a".repeat(200))), None);
        for wrong in ["", "/a.csv", "../a.csv", "**", "a//b.csv"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
        let long = Pattern::parse(&"a*".repeat(5_000)).unwrap();
        assert!(shown(&vec![long; 5_000]).len() < 1_000);
        let some = ["web/*.csv", "*.tsv"].map(|pattern| Pattern::parse(pattern).unwrap());
        assert_eq!(shown(&some), "\"web/*.csv\", \"*.tsv\"");
    }

    #[test]
    fn folders_say_values() {
        assert_eq!(
            folder_values(Path::new("/data/x=0/web/dt=2026-09-01/land=K%C3%B6ln/part-0.csv")),
            [("dt".to_string(), "2026-09-01".to_string()), ("land".to_string(), "Köln".to_string())]
        );
        let values = folder_values(Path::new("/data/a=1%2F2%20%3D/b=%+5%zz%/c=50%/x.csv"));
        assert_eq!(values.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["1/2 =", "%+5%zz%", "50%"]);
        assert_eq!(folder_values(Path::new("/data/dt=__HIVE_DEFAULT_PARTITION__/a")), [("dt".into(), String::new())]);
        assert_eq!(folder_values(Path::new("/data/a=b")), []);
    }

    #[test]
    fn names_hold_what_tells_files_apart() {
        let labelled =
            |path: &str, label: &str, below: &str| name_of(Path::new(path), Path::new(label), Path::new(below));
        let name = |path: &str, below: &str| labelled(path, "", below);
        assert_eq!(labelled("/in/web/a.csv", "web", "a.csv"), "web/a.csv");
        assert_eq!(labelled("/tmp/stand-in/a.csv", "bucket", "a.csv"), "bucket/a.csv");
        assert_eq!(labelled("/in/web/dt=1/a.csv", "dt=1", "a.csv"), "dt=1/a.csv");
        assert_eq!(labelled("/in/web/dt=1/a.csv", "web/dt=1", "a.csv"), "web/dt=1/a.csv");
        assert_eq!(name("/data/dt=1/part-0.csv", "part-0.csv"), "dt=1/part-0.csv");
        assert_eq!(name("/data/dt=1/part-0.csv", "dt=1/part-0.csv"), "dt=1/part-0.csv");
        assert_eq!(name("/data/dt=1/h=2/sub/part-0.csv", "sub/part-0.csv"), "dt=1/h=2/sub/part-0.csv");
        assert_eq!(name("/data/a.csv", "a.csv"), "a.csv");
        assert_eq!(name("/data/2026/a.csv", "2026/a.csv"), "2026/a.csv");
    }
}
