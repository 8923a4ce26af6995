//! Imports go one way, down the layers: fails where a lower layer names a higher one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the user down to the ground; modules of one layer do not name each other.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["serve"],
    &["manual"],
    &["shell", "pages", "schedule"],
    &["report"],
    &["rebuild", "ingest", "sample", "export"],
    &["cluster"],
    &["engine"],
    &["functions"],
    &["lake"],
    &["feed", "attribution", "persons"],
    &["format"],
    &["time"],
    &["columns", "error", "clock", "address", "quote", "sealed", "options", "distinct_texts"],
    // a crate of its own
    &["instances"],
];

/// Roots of crates, which list what they are made of.
const ROOTS: &[&str] = &["lib", "main", "rejoin_engine", "rejoin_ingest", "rejoin_lake"];

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
        if ROOTS.contains(&module.as_str()) {
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
        if ["feed", "attribution", "persons"].contains(&module.as_str()) {
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

/// The rooms of a folder from the top down; a file names only rooms below its own.
const ROOMS: &[(&str, &[&str])] = &[("lake", &["upkeep", "tables", "records", "files", "log"])];

/// Every file of `src` by its module's path, with the modules whose files it names. A folder's `mod.rs` lists its files, which
/// is no import; what it passes on under its own name is taken to be where it is written.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&root, &mut files);
    let mut texts = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let mut path: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let is_folder = path.last().is_some_and(|last| last == "mod");
        path.truncate(path.len() - usize::from(is_folder));
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_string();
        let text: String =
            text.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect();
        if path.len() > 1 || !ROOTS.contains(&path[0].as_str()) {
            texts.insert(path.join("::"), (text, is_folder));
        }
    }
    let module = |path: &str| {
        let mut path = path.to_string();
        while !path.is_empty() && !texts.contains_key(&path) {
            path = path.rsplit_once("::").map_or("", |(folder, _)| folder).to_string();
        }
        path
    };
    // what a folder passes on: its name, and where it is
    let mut passed_on = BTreeMap::new();
    for (name, (text, _)) in texts.iter().filter(|(_, (_, is_folder))| *is_folder) {
        for statement in text.split(';').filter_map(|s| s.trim_start().strip_prefix("pub").map(|_| s.trim_start())) {
            let Some((visibility, tree)) = statement.split_once("use ") else { continue };
            if visibility.trim() != "pub" && !visibility.trim().ends_with(')') {
                continue;
            }
            for path in expand(tree) {
                let absolute = absolute(&path, name, &|own| texts.contains_key(own));
                passed_on.insert((name.clone(), last(&path).to_string()), absolute);
            }
        }
    }
    let resolve = |path: &str| {
        let mut path = path.to_string();
        for _ in 0..4 {
            let found = module(&path);
            let next = path[found.len()..].trim_start_matches("::").split("::").next().unwrap_or_default().to_string();
            match passed_on.get(&(found.clone(), next.clone())) {
                Some(target) => {
                    let rest = path[found.len()..].trim_start_matches("::").strip_prefix(&next).unwrap_or_default();
                    path = format!("{target}{rest}");
                }
                None => return found,
            }
        }
        module(&path)
    };
    let mut graph = BTreeMap::new();
    for (name, (text, is_folder)) in &texts {
        let mut named = BTreeSet::new();
        for path in paths(text) {
            let target = resolve(&absolute(&path, name, &|own| texts.contains_key(own)));
            let listed = *is_folder && target.starts_with(&format!("{name}::"));
            if !target.is_empty() && target != *name && !listed {
                named.insert(target);
            }
        }
        graph.insert(name.clone(), named);
    }
    graph
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`; `as` names are left out.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().trim_end_matches("::self").to_string()];
    };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut start, mut parts) = (0, 0, vec![]);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    let full = |part: &str| format!("{}{part}", prefix.trim());
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts
        .flat_map(|part| expand(part).into_iter().map(|p| full(&p)).collect::<Vec<_>>())
        .map(|p| p.trim_end_matches("::self").to_string())
        .collect()
}

/// All paths that a text names: in `use` and in expressions that begin with `crate`, `super` or `self`.
fn paths(text: &str) -> Vec<String> {
    let mut out = vec![];
    for statement in text.split(';') {
        let at = statement.rfind("\nuse ").map(|at| at + 5).or_else(|| statement.strip_prefix("use ").map(|_| 4));
        let at = at
            .or_else(|| statement.find("\npub use ").map(|at| at + 9))
            .or_else(|| statement.rfind("    use ").map(|at| at + 8));
        let (expressions, tree) = statement.split_at(at.unwrap_or(statement.len()));
        if !tree.is_empty() {
            out.extend(expand(tree));
        }
        for root in ["crate::", "super::", "self::"] {
            for (at, _) in expressions.match_indices(root) {
                let before = expressions[..at].chars().next_back().unwrap_or(' ');
                if before.is_alphanumeric() || before == '_' || before == '$' || before == ':' {
                    continue;
                }
                let path = expressions[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
                out.push(path.collect::<String>().trim_end_matches(':').to_string());
            }
        }
    }
    out
}

/// A path as seen from the root; empty for one that leads out of the crate.
fn absolute(path: &str, module: &str, is_module: &dyn Fn(&str) -> bool) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut parts: Vec<&str> = path.split("::").collect();
    match parts[0] {
        "crate" => base.clear(),
        "super" | "self" => {}
        own if is_module(&format!("{module}::{own}")) => {}
        _ => return String::new(),
    }
    while matches!(parts.first(), Some(&("crate" | "super" | "self"))) {
        if parts.remove(0) == "super" {
            base.pop();
        }
    }
    base.extend(parts);
    base.join("::")
}

/// The files that one names, directly or by way of others.
fn reach<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, file: &'a String) -> BTreeSet<&'a String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![file]);
    while let Some(from) = next.pop() {
        next.extend(graph[from].iter().filter(|other| seen.insert(*other)));
    }
    seen
}

/// Files that name each other, directly or by way of others, cannot be read one after the other.
#[test]
fn files_name_each_other_one_way() {
    let graph = imports();
    assert!(graph["engine::view"].contains("lake::files::scan"), "imports are found: {:?}", graph["engine::view"]);
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph.keys().map(|file| (file, reach(&graph, file))).collect();
    let in_circle = |file: &&String| reached[*file].contains(*file);
    let circle = |file: &String| {
        let back: Vec<_> = graph[file].iter().filter(|other| reached[*other].contains(file)).collect();
        format!("{file} names {back:?}, from where there is a way back")
    };
    let wrong: Vec<String> = graph.keys().filter(in_circle).map(circle).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn rooms_are_entered_downwards() {
    let graph = imports();
    let mut wrong = vec![];
    for (folder, rooms) in ROOMS {
        let room = |module: &str| {
            let own = module.strip_prefix(folder)?.strip_prefix("::")?;
            rooms.iter().position(|room| own.split("::").next() == Some(room))
        };
        for (file, named) in &graph {
            let above = |other: &&String| room(file).zip(room(other)).is_some_and(|(own, other)| other < own);
            wrong.extend(named.iter().filter(above).map(|other| format!("{file} names {other}, which is above it")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn paths_are_found() {
    let text = "use super::{a::{B, self}, c};\npub use crate::d::E as F;\nfn f() {\n    let x = super::g::h();\n    crate::i::J\n}\n";
    assert_eq!(paths(text), ["super::a::B", "super::a", "super::c", "crate::d::E", "super::g::h", "crate::i::J"]);
    assert_eq!(absolute("super::a::B", "m::n", &|_| false), "m::a::B");
    assert_eq!(absolute("o::P", "m", &|own| own == "m::o"), "m::o::P");
    assert_eq!(absolute("std::fs", "m", &|_| false), "");
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

/// Inputs are opened in one place, which counts how often they are read; a look at the first bytes tells what a file is.
#[test]
fn inputs_have_one_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ingest");
    let mut files = vec![];
    sources(&root, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let opens = ["File::open", "fs::read(", "read_to_string(path"]
            .iter()
            .any(|call| code.match_indices(call).any(|(at, _)| !code[..at].ends_with(char::is_alphanumeric)));
        let may = matches!(name, "input_file.rs" | "find.rs" | "mapping.rs" | "tests.rs");
        assert!(!opens || may, "{name} opens files; InputFile is the door");
    }
}
