//! What is in a zip archive: its files, its data source files among them, and which of these are whole.
//!
//! In: the paths of the archive's members. Out: its files or texts, or why none of them is to be trusted. An archive of a data
//! feed has no texts.

use std::collections::BTreeSet;

use super::member_names::{MAX_MEMBERS, path_within, there_twice, too_many};
use crate::Result;

/// A data source file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its path in the archive, `/` between the parts.
    pub path: String,
    /// True where a `.fin` says that it is whole.
    pub is_whole: bool,
}

/// The texts among the members of an archive, in their order. `is_whole` says that a `.fin` beside the archive stands for all of them.
///
/// # Errors
/// Some text is whole, and a member points outside of the archive, two have one path, or there are too many.
pub fn texts_in(members: &[String], file: &str, is_whole: bool) -> Result<Vec<Text>> {
    if !holds_texts(members) {
        return Ok(vec![]);
    }
    // a name that cannot be is refused below
    let paths: Vec<String> = members.iter().map(|m| path_within(m, file).unwrap_or_else(|_| m.clone())).collect();
    let marks: BTreeSet<String> = paths.iter().filter_map(|path| stem(path, ".fin")).collect();
    let texts = paths.iter().filter(|path| is_text(path)).map(|path| Text {
        is_whole: is_whole || stem(path, ".txt").is_some_and(|stem| marks.contains(&stem)),
        path: path.clone(),
    });
    let texts: Vec<Text> = texts.collect();
    if texts.iter().any(|text| text.is_whole) {
        files_in(members, file)?;
    }
    Ok(texts)
}

/// The paths of all members of an archive that are not hidden.
///
/// # Errors
/// A member points outside of the archive, two have one path, or there are too many.
pub fn files_in(members: &[String], file: &str) -> Result<Vec<String>> {
    if members.len() > MAX_MEMBERS {
        return Err(too_many(file));
    }
    let paths = members.iter().map(|member| path_within(member, file)).collect::<Result<Vec<_>>>()?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = paths.iter().find(|path| !seen.insert(path.as_str())) {
        return Err(there_twice(twice, file));
    }
    Ok(paths.into_iter().filter(|path| !is_hidden(path)).collect())
}

/// True for the members of an archive of data source files.
pub fn holds_texts(members: &[String]) -> bool {
    members.iter().any(|member| is_text(member)) && !holds_tables(members)
}

/// True for the members of an archive of a data feed, whose files all end so.
pub fn holds_tables(members: &[String]) -> bool {
    members.iter().any(|member| member.to_ascii_lowercase().ends_with(".tsv"))
}

/// A text that is meant.
fn is_text(member: &str) -> bool {
    stem(member, ".txt").is_some() && !is_hidden(member)
}

/// True for what nobody put into the archive: a Mac adds some files.
pub fn is_hidden(member: &str) -> bool {
    let is_hidden = |part: &str| part.starts_with('.') && part != "." && part != ".." || part == "__MACOSX";
    member.split(['/', '\\']).any(is_hidden)
}

/// The path without this ending, in whatever case it is written.
fn stem(path: &str, ending: &str) -> Option<String> {
    let lower = path.to_ascii_lowercase();
    Some(path[..lower.strip_suffix(ending)?.len()].to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(members: &[&str], is_whole: bool) -> Result<Vec<String>> {
        let members: Vec<String> = members.iter().map(|member| member.to_string()).collect();
        let shown = |text: Text| format!("{}{}", text.path, if text.is_whole { "" } else { " waits" });
        Ok(texts_in(&members, "drop.zip", is_whole)?.into_iter().map(shown).collect())
    }

    #[test]
    fn texts_and_what_says_that_they_are_whole() {
        let members = ["a.txt", "a.fin", "sub\\B c.TXT", "sub/B c.FIN", "x/a.txt", "notes.md", "inner.zip"];
        assert_eq!(texts(&members, false).unwrap(), ["a.txt", "sub/B c.TXT", "x/a.txt waits"]);
        assert_eq!(texts(&members, true).unwrap(), ["a.txt", "sub/B c.TXT", "x/a.txt"]);
        // what a Mac puts beside, and what is hidden
        assert_eq!(texts(&["__MACOSX/._a.txt", ".a.txt", "./a.txt"], true).unwrap(), ["a.txt"]);
        // an archive of a data feed, one of something else, and an empty one
        for members in [&["hit_data.tsv", "readme.txt"][..], &["a.csv", "b.zip", "c.txt.gz"], &[]] {
            assert_eq!(texts(members, true).unwrap(), [""; 0]);
        }
    }

    #[test]
    fn files_that_are_meant() {
        let files = |members: &[&str]| {
            let members: Vec<String> = members.iter().map(|member| member.to_string()).collect();
            files_in(&members, "crm.zip")
        };
        let found = files(&["a.csv", "./b\\c d.json", ".hidden.csv", "__MACOSX/._a.csv", "notes.md"]).unwrap();
        assert_eq!(found, ["a.csv", "b/c d.json", "notes.md"]);
        for (members, reason) in [
            (&["a.csv", "b/../../c.csv"][..], "points outside"),
            (&["a.csv", "./a.csv"], "is there twice"),
            (&["a.csv"; 1001], "more than 1000"),
        ] {
            assert!(files(members).unwrap_err().to_string().contains(reason), "{reason}");
        }
    }

    #[test]
    fn archives_that_are_not_to_be_trusted() {
        let many: Vec<String> = (0..1001).map(|n| format!("{n}.txt")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (members, reason) in [
            (&["a.txt", "../b.txt"][..], "points outside"),
            (&["a.txt", "/etc/b.md"], "points outside"),
            (&["a.txt", "c/..\\..\\b.txt"], "points outside"),
            (&["a.txt", "./a.txt"], "is there twice"),
            (&many, "more than 1000"),
        ] {
            assert!(texts(members, true).unwrap_err().to_string().contains(reason), "{reason}");
            // nobody says that anything of it is meant
            assert_eq!(texts(members, false).unwrap().iter().filter(|t| !t.ends_with("waits")).count(), 0);
        }
    }
}
