//! Inputs that are found in folders and archives, by names and by what they begin with.

#![allow(clippy::unwrap_used)]

use super::*;

fn found(folder: &Path, paths: &[&str], mapped: bool) -> (Vec<String>, usize) {
    let paths: Vec<GivenPath> = paths.iter().map(|p| GivenPath::local(&folder.join(p))).collect();
    let mapping = Mapping::parse("kind = 'online'\nvisitor_id = 'user'\ntime = 'ts'").unwrap();
    let mappings = if mapped { vec![Arc::new(mapping)] } else { vec![] };
    let found = find(&paths, &mappings);
    let what = |input: &Input| match &input.what {
        InputType::Delivery(_) => "delivery".to_string(),
        InputType::Source(SourceFile { format: SourceFormat::Text, .. }) => "text".into(),
        InputType::Source(SourceFile { format: SourceFormat::Json, .. }) => "json".into(),
        InputType::Mapped(_, format, _) => format.name().into(),
        InputType::Waiting(reason) => format!("waits: {reason}"),
        InputType::Refused(error) => format!("{:?}: {error}", error.kind()),
    };
    (found.inputs.iter().map(|i| format!("{} {}", i.name, what(i))).collect(), found.ignored)
}

#[test]
fn inputs_come_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/files_with_errors")).unwrap();
    for name in [
        "b/leads_2.txt",
        "b/leads_2.fin",
        "leads_1.txt",
        "leads_1.fin",
        "a.json",
        "notes.md",
        ".hidden.txt",
        "x.csv",
        "b/y.parquet",
        "b/files_with_errors/old.txt",
        "OLD.TXT",
        "01-acme_2026-10-01.tsv.gz",
        "acme_2026-10-01-lookup_data.tar.gz",
        "web_2026-10-01.tar.gz",
        "web_2026-10-01.fin",
    ] {
        fs::write(root.join(name), "").unwrap();
    }
    let (inputs, ignored) = found(root, &["", "b", "leads_1.fin"], false);
    assert_eq!(
        inputs,
        [
            "OLD.TXT waits: OLD.TXT: endings are lower case; rename it to OLD.txt",
            "a.json json",
            "acme_2026-10-01 waits: acme_2026-10-01.txt (the manifest, which comes last) is missing",
            "b/leads_2.txt text",
            "leads_1.txt text",
            "web_2026-10-01 delivery",
        ]
    );
    // the .md, and what only a mapping could explain
    assert_eq!(ignored, 3);
    let (inputs, _) = found(root, &["", "b/y.parquet"], true);
    assert!(inputs.contains(&"x.csv csv".to_string()) && inputs.contains(&"b/y.parquet parquet".to_string()));
    assert_eq!(inputs.iter().filter(|i| i.ends_with("parquet")).count(), 1);
}

#[cfg(unix)]
#[test]
fn links_are_followed_once() {
    use std::os::unix::fs::symlink;

    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path();
    fs::create_dir_all(root.join("days/b")).unwrap();
    fs::create_dir_all(elsewhere.path().join("more")).unwrap();
    fs::write(root.join("days/b/x.csv"), "").unwrap();
    fs::write(elsewhere.path().join("more/y.csv"), "").unwrap();
    fs::write(elsewhere.path().join("z.csv"), "").unwrap();
    // to a file and a folder that are found themselves, and come first in the alphabet
    symlink(root.join("days/b/x.csv"), root.join("days/a.csv")).unwrap();
    symlink(root.join("days/b"), root.join("another")).unwrap();
    // to others, the second by the name of the link
    symlink(elsewhere.path().join("more"), root.join("more")).unwrap();
    symlink(elsewhere.path().join("z.csv"), root.join("today.csv")).unwrap();
    // round in circles, and nowhere
    symlink(root, root.join("days/up")).unwrap();
    symlink(root.join("self.csv"), root.join("self.csv")).unwrap();
    symlink(root.join("gone"), root.join("late.csv")).unwrap();
    symlink(root.join("gone"), root.join("NOTES")).unwrap();
    let (inputs, ignored) = found(root, &[""], true);
    let (waiting, there): (Vec<String>, Vec<String>) = inputs.into_iter().partition(|i| i.contains("waits"));
    assert_eq!(there, ["days/b/x.csv csv", "more/y.csv csv", "today.csv csv"]);
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert!(waiting[0].starts_with("late.csv waits: late.csv: a link that leads nowhere"), "{waiting:?}");
    assert!(waiting[1].starts_with("self.csv waits"), "{waiting:?}");
    assert_eq!(ignored, 1);
    // what is named is followed whatever it is, and an error where it leads nowhere
    assert_eq!(found(root, &["another"], true).0, ["x.csv csv"]);
    assert_eq!(found(root, &["days/a.csv", "days/b/x.csv"], true).0.len(), 1);
    assert!(found(root, &["late.csv"], true).0[0].contains("Usage"));
}

#[test]
fn what_is_named_is_never_ignored() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.csv", "notes.md", "hits.tar.gz", "alone.fin"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let one = |name: &str| found(folder.path(), &[name], false).0.join("\n");
    assert!(one("x.csv").contains("give --mapping FILE"));
    assert!(one("notes.md").contains("not an input"));
    assert!(one("hits.tar.gz").contains("not the name of a delivery"));
    assert!(one("alone.fin").contains("waits: alone.txt is missing"));
    assert!(one("missing.txt").contains("Usage"));
    for (name, advice) in [
        ("Export.XLSX", "save the sheet as CSV"),
        ("hits.csv.bz2", "pack each file by itself with gzip"),
        ("leads.txt.xz", "unpack it"),
        ("hits.parquet.zst", "unzstd"),
        ("hits.parquet.gz", "gunzip"),
        ("hits.avro", "make a Parquet file of it"),
    ] {
        fs::write(folder.path().join(name), "").unwrap();
        assert!(one(name).contains(advice), "{}", one(name));
    }
    assert!(found(folder.path(), &["hits.tar.gz"], true).0[0].contains("into which a mapping does not look"));
}
