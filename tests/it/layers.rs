//! Imports go one way, down the layers: fails where a lower layer names a higher one.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the user down to the ground; modules of one layer do not name each other.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["manual"],
    &["serve"],
    &["shell", "pages", "schedule"],
    &["report"],
    &["rebuild", "ingest", "sample"],
    &["cluster"],
    &["engine"],
    &["functions"],
    &["lake"],
    &["feed", "attribution"],
    &["columns", "error", "clock", "address"],
];

/// Crates that the pure layers do without: they turn bytes into rows and journeys into credit, and do no I/O.
const IMPURE: &[&str] = &["datafusion", "object_store", "deltalake_core", "tokio", "reqwest"];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The modules that a file names by `crate::`: in `use crate::{a, b::c}` as well as in expressions.
fn named(text: &str) -> Vec<String> {
    let mut out = vec![];
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let rest = &code[at + "crate::".len()..];
        if before.is_alphanumeric() || before == '_' || before == '$' {
            continue;
        }
        match rest.strip_prefix('{') {
            None => out.push(word(rest)),
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            out.push(word(&group[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    out
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&root, &mut files);
    let mut wrong = vec![];
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_string();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(own) = layer(&module) else {
            wrong.push(format!(
                "{}: the module {module} is in no layer; add it to tests/it/layers.rs",
                relative.display()
            ));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for name in named(&text).into_iter().filter(|n| *n != module) {
            if layer(&name).is_some_and(|l| l <= own) {
                wrong.push(format!("{}: {module} names crate::{name}, which is not below it", relative.display()));
            }
        }
        if module == "feed" || module == "attribution" {
            for line in text.lines().map(str::trim).filter(|l| !l.starts_with("//")) {
                for name in IMPURE.iter().filter(|n| line.contains(&format!("{n}::"))) {
                    wrong.push(format!("{}: {module} is pure and names {name}", relative.display()));
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn names_are_found_in_groups_and_expressions() {
    let text = "use crate::{a, b::{c, d}, e};\nuse crate::f::g;\nlet x = crate::h::i();\n// crate::j\n$crate::k\n";
    assert_eq!(named(text), ["a", "b", "e", "f", "h"]);
}

/// Each file says what it is for, and stays small enough to be read.
#[test]
fn files_open_with_their_purpose() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&root, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with //!", file.display());
        assert!(text.lines().count() <= 700, "{} has {} lines", file.display(), text.lines().count());
    }
}
