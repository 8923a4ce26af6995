//! Broken and hostile inputs, through the binary: each is refused or rejected with a message that helps, and nothing of a
//! refused file is loaded.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::place::{Done, Place};

const HITS: &str = "visitor  time              visit  post_pagename
1_1      2026-09-01 10:00  1      home
1_1      2026-09-01 10:01  1      form
2_2      2026-09-01 10:02  1      home
";

/// A lake with a suite, a source of each kind, one delivery and one file: what must still be there afterwards.
static BEFORE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::lasting();
    place.write("before.table", HITS);
    place.sh("rejoin suite create web
rejoin source create web leads --kind transaction
rejoin source create web calls --kind customer
rejoin source create web spend --kind summary
feed web 2026-08-31 --dir before <before.table
printf 'Date\\tTracking Code\\tEvent 1\\n09/01/2026\\tbrand\\t1\\n' >before/spend.txt
touch before/spend.fin
rejoin ingest before --source spend --suite web");
    place
});

/// A fresh copy of it, with its inputs.
fn place() -> Place {
    let place = Place::with_lake_of(&BEFORE);
    place.sh(&format!("cp -r {}/before* .", BEFORE.path().display()));
    place
}

/// Rows of every table that a load writes to, but the file log, which may tell of a refusal.
fn counts(place: &Place) -> Vec<i64> {
    let tables = ["hits", "offline", "rejects", "files WHERE status = 'loaded'"].iter().enumerate();
    let counts = tables.map(|(place, table)| format!("SELECT {place} AS place, count(*) AS n FROM {table}"));
    let rows = place.query(&format!("{} ORDER BY place", counts.collect::<Vec<_>>().join(" UNION ALL ")));
    rows.as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()).collect()
}

/// Demands that a command is refused with these words and loads nothing.
#[track_caller]
fn refused(place: &Place, arguments: &str, code: i32, texts: &[&str]) -> Done {
    let before = counts(place);
    let done = place.rejoin(arguments).fails(code, texts);
    assert_eq!(counts(place), before, "{arguments} left something behind");
    done
}

/// A delivery of [`HITS`] with options of the tests' `feed`.
fn feed(place: &Place, options: &str) {
    place.write("hits.table", HITS);
    place.sh(&format!("feed web 2026-09-01 {options} <hits.table"));
}

fn source_file(place: &Place, name: &str, contents: impl AsRef<[u8]>) {
    place.write(&format!("{name}.txt"), contents);
    place.write(&format!("{name}.fin"), "");
}

#[test]
fn a_truncated_gzip_file() {
    let place = place();
    feed(&place, "--bad truncated");
    refused(&place, "ingest feed", 4, &["01-web_2026-09-01.tsv.gz"]);
}

#[test]
fn a_wrong_md5_sum() {
    let place = place();
    feed(&place, "--bad md5");
    refused(&place, "ingest feed", 4, &["01-web_2026-09-01.tsv.gz", "md5"]);
}

#[test]
fn a_wrong_record_count() {
    let place = place();
    feed(&place, "--bad count");
    refused(&place, "ingest feed", 4, &["web_2026-09-01", "4", "3"]);
}

#[test]
fn one_header_more_than_fields() {
    let place = place();
    feed(&place, "--bad header");
    refused(&place, "ingest feed", 4, &["line 1", "column_headers.tsv", "expected"]);
}

#[test]
fn a_record_over_two_lines() {
    let place = place();
    place.write("hits.table", HITS.replace("home", "ho<LF>me"));
    place.sh("feed web 2026-09-01 <hits.table; rejoin ingest feed");
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits WHERE page_name = concat('ho', chr(10), 'me')"), 2);
    // without its backslash the line feed ends the record: the delivery is wrong as a whole
    let place = self::place();
    place.write("hits.table", HITS.replace("home", "ho<LF>me"));
    place.sh("feed web 2026-09-01 <hits.table
gzip -dc feed/01-web_2026-09-01.tsv.gz | sed 's/ho\\\\$/ho/' | gzip -n >new; mv new feed/01-web_2026-09-01.tsv.gz
sed -i \"s/^File-Size: .*/File-Size: $(stat -c %s feed/01-web_2026-09-01.tsv.gz)/; s/^MD5-Digest: .*/MD5-Digest: $(md5sum <feed/01-web_2026-09-01.tsv.gz | cut -c1-32)/\" feed/web_2026-09-01.txt
lookup=feed/web_2026-09-01-lookup_data.tar.gz
sed -i \"/^Lookup-File: /{n; s/.*/MD5-Digest: $(md5sum <$lookup | cut -c1-32)/; n; s/.*/File-Size: $(stat -c %s $lookup)/}\" feed/web_2026-09-01.txt");
    refused(&place, "ingest feed", 4, &["01-web_2026-09-01.tsv.gz", "3"]);
}

#[test]
fn nul_bytes() {
    let place = place();
    place.write("hits.table", HITS.replace("home", "ho<NUL>me"));
    place.sh("feed web 2026-09-01 <hits.table; rejoin ingest feed");
    // kept or rejected, but not lost
    let kept = "SELECT count(*) AS n FROM (SELECT file FROM hits UNION ALL SELECT file FROM rejects) WHERE file LIKE '%2026-09-01%'";
    assert_eq!(place.cell(kept), 3);
    source_file(&place, "nul", "Date\tTracking Code\tEvent 1\n09/01/2026\ta\0b\t1\n09/01/2026\tfine\t1\n");
    place.rejoin("ingest nul.txt --suite web --source spend").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE tracking_code = 'fine'"), 1);
}

#[test]
fn twelve_hundred_columns() {
    let place = place();
    let mut table: Vec<String> = HITS.lines().map(str::to_string).collect();
    for n in 1..=1200 {
        table[0] += &format!("  my_column_{n}");
        table[1] += &format!("  value{n}");
        table[2] += "  .";
        table[3] += "  x";
    }
    place.write("hits.table", table.join("\n"));
    place.sh("feed web 2026-09-01 <hits.table; rejoin ingest feed; rejoin rebuild");
    assert_eq!(place.cell("SELECT my_column_1200 AS v FROM events WHERE my_column_1 = 'value1'"), "value1200");
}

#[test]
fn an_empty_feed() {
    let place = place();
    place.write("hits.table", HITS.lines().next().unwrap());
    place.sh("feed web 2026-09-01 <hits.table");
    let before = place.cell("SELECT count(*) AS n FROM hits");
    place.rejoin("ingest feed").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), before);
    assert_eq!(place.cell("SELECT rows FROM files WHERE file LIKE '%2026-09-01%'"), 0);
}

/// A gzipped tar with one member whose name and kind are written as given; `tar` itself would refuse to make it.
fn tar(name: &str, kind: u8, link: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    header[154] = 0;
    let mut out = GzEncoder::new(vec![], Compression::default());
    out.write_all(&header).unwrap();
    out.write_all(contents).unwrap();
    out.write_all(&vec![0; (512 - contents.len() % 512) % 512 + 1024]).unwrap();
    out.finish().unwrap()
}

#[test]
fn an_archive_that_climbs_or_links() {
    let cases = [
        ("../escaped.tsv", b'0', "", &b"gotcha\n"[..]),
        ("/tmp/rejoin-escaped.tsv", b'0', "", b"gotcha\n"),
        ("column_headers.tsv", b'2', "/etc/passwd", b""),
        ("column_headers.tsv", b'1', "../../etc/passwd", b""),
    ];
    for (name, kind, link, contents) in cases {
        let place = place();
        feed(&place, "");
        let lookup = "feed/web_2026-09-01-lookup_data.tar.gz";
        place.write(lookup, tar(name, kind, link, contents));
        place.sh(&format!("sed -i \"/^Lookup-File: /{{n; s/.*/MD5-Digest: $(md5sum <{lookup} | cut -c1-32)/; n; s/.*/File-Size: $(stat -c %s {lookup})/}}\" feed/web_2026-09-01.txt"));
        refused(&place, "ingest feed", 4, &["lookup_data.tar.gz"]);
        assert!(
            !place.path().join("escaped.tsv").exists() && !place.path().parent().unwrap().join("escaped.tsv").exists()
        );
        assert!(!std::path::Path::new("/tmp/rejoin-escaped.tsv").exists());
    }
}

#[test]
fn a_source_file_that_is_not_finished() {
    let place = place();
    let before = counts(&place);
    place.write("waits.txt", "Date\tTracking Code\tEvent 1\n09/01/2026\tbrand\t41\n");
    let done = place.rejoin("ingest waits.txt --suite web --source spend").ok();
    assert!(done.stderr.contains("waits.fin") || done.stdout.contains("waits.fin"), "{}{}", done.stdout, done.stderr);
    place.write("waits.FIN", "");
    place.rejoin("ingest waits.txt --suite web --source spend").ok();
    assert_eq!(counts(&place), before);
    place.write("waits.fin", "");
    place.rejoin("ingest waits.txt --suite web --source spend").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE file = 'waits.txt'"), 1);
}

#[test]
fn utf_16() {
    let place = place();
    let text = "Date\tTracking Code\tEvent 1\n09/01/2026\tcafé\t1\n";
    let bytes: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    source_file(&place, "wide", bytes);
    place.rejoin("ingest wide.txt --suite web --source spend").ok();
    assert_eq!(place.cell("SELECT tracking_code FROM offline WHERE file = 'wide.txt'"), "café");
}

#[test]
fn bad_rows_are_rejected_and_the_others_load() {
    let place = place();
    let long = "T".repeat(5000);
    source_file(
        &place,
        "rows",
        format!(
            "Date\ttransactionID\tEvent 1\n31/12/2025\tT1\t1\n09/01/2026\tT2\t1,5\n09/01/2026\t{long}\t1\n09/01/2026\tT4\t1\n"
        ),
    );
    let done = place.rejoin("ingest rows.txt --suite web --source leads").ok();
    assert!(done.stderr.contains('3'), "the count of rejected rows goes to stderr: {}", done.stderr);
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE file = 'rows.txt'"), 1);
    let rejects =
        place.query("SELECT line, \"column\" AS c, reason FROM rejects WHERE file = 'rows.txt' ORDER BY line");
    let lines: Vec<_> = rejects.as_array().unwrap().iter().map(|r| r["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [2, 3, 4], "{rejects}");
    assert_eq!(rejects[0]["c"], "Date", "{rejects}");
    assert_eq!(rejects[1]["c"], "Event 1", "{rejects}");
    assert!(
        rejects[2]["reason"].as_str().unwrap().contains("4096")
            || rejects[2]["reason"].as_str().unwrap().contains("4,096"),
        "{rejects}"
    );
}

#[test]
fn a_file_for_a_source_of_another_kind() {
    let place = place();
    source_file(&place, "leads", "Date\ttransactionID\tEvent 1\n09/01/2026\tT1\t1\n");
    source_file(&place, "calls", "Date\tVisitorID\tEvent 1\n09/01/2026\tann\t1\n");
    refused(&place, "ingest leads.txt --suite web --source calls", 4, &["leads.txt", "VisitorID"]);
    refused(&place, "ingest calls.txt --suite web --source leads", 4, &["calls.txt", "transactionID"]);
}

#[test]
fn the_same_delivery_twice_and_one_with_a_day_changed() {
    let place = place();
    let before = counts(&place);
    place.rejoin("ingest before --source spend --suite web").ok();
    assert_eq!(counts(&place), before, "loading again changes nothing");
    place.write("before.table", HITS.replace("form", "changed"));
    place.sh("feed web 2026-08-31 --dir before <before.table");
    refused(&place, "ingest before --source spend --suite web", 5, &["web_2026-08-31", "--replace"]);
    place.rejoin("ingest before --source spend --suite web --replace").ok();
    assert_eq!(counts(&place), before);
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits WHERE page_name = 'changed'"), 1);
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits WHERE page_name = 'form'"), 0);
}

#[test]
fn names_that_do_not_exist() {
    let place = place();
    feed(&place, "");
    place.sh("mkdir other; for f in feed/*; do cp $f other/$(basename $f | sed s/web_/wed_/); done; sed -i s/web_/wed_/ other/*.txt");
    refused(&place, "ingest other", 3, &["wed", "web", "suite create"]);
    source_file(&place, "leads", "Date\ttransactionID\tEvent 1\n09/01/2026\tT1\t1\n");
    refused(&place, "ingest leads.txt --suite web --source lead", 3, &["leads", "source create"]);
    refused(&place, "ingest leads.txt --suite wbe --source leads", 3, &["web", "suite create"]);
    refused(&place, "ingest feed --suite other", 3, &["other"]);
    place.rejoin("suite create other").ok();
    // the delivery's name says web
    refused(&place, "ingest feed --suite other", 3, &["web", "other"]);
    let before = counts(&place);
    let missing = place.rejoin("ingest nothing_here");
    assert!([2, 3, 4].contains(&missing.code), "exit code {}: {}", missing.code, missing.stderr);
    assert!(missing.stderr.contains("nothing_here") && counts(&place) == before, "{}", missing.stderr);
}

#[test]
fn one_refused_file_does_not_stop_the_others() {
    let place = place();
    source_file(&place, "in/a", "Date\teVar1\tEvent 1\n09/01/2026\tx\t1\n");
    source_file(&place, "in/b", "Date\tEvar 1\tEvent 1\n09/01/2026\tx\t1\n");
    place.rejoin("ingest in --suite web --source spend").fails(4, &["a.txt", "Evar 1"]);
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE file = 'b.txt'"), 1);
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE file = 'a.txt'"), 0);
}

#[test]
fn mappings_that_cannot_be() {
    let place = place();
    place.write("x.csv", "user,at,page\nv1,2026-09-01T10:00:00,home\n");
    let good = "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"user\"\ntime = \"at\"\n";
    let bad = [
        (good.replace("visitor_id", "visiter_id"), 3, "visitor_id"),
        (good.replace("\"user\"", "\"usr\""), 4, "user"),
        (format!("{good}[metrics]\npage_name = \"page\"\n"), 3, "page_name"),
        (format!("{good}[dimensions]\npage_name = \"no_such_function(page)\"\n"), 4, "no_such_function"),
        (good.replace("suite = \"web\"", "suite = \"wbe\""), 3, "web"),
    ];
    for (mapping, code, text) in bad {
        place.write("x.toml", &mapping);
        let before = counts(&place);
        let done = place.rejoin("ingest x.csv --mapping x.toml");
        assert!(
            done.code == code || (done.code == 3 && code == 4),
            "{mapping}exit code {}: {}",
            done.code,
            done.stderr
        );
        assert!(done.stderr.contains(text), "{mapping}{}", done.stderr);
        assert_eq!(counts(&place), before);
    }
    place.write("x.toml", good);
    refused(&place, "ingest x.csv --mapping x.toml --suite other", 3, &["other"]);
}
