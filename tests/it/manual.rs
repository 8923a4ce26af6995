//! The manual: its examples run, its commands are commands, and all of it can be written down.

use clap::Parser;
use rejoin::cli::args::Arguments;
use rejoin::manual::topics;

use crate::place::Place;

/// The blocks of a language in Markdown.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Words as a shell splits them: quotes hold together, `#` begins a comment.
fn words(line: &str) -> Vec<String> {
    let (mut found, mut word, mut quote, mut any) = (vec![], String::new(), None, false);
    for c in line.chars().chain([' ']) {
        match (c, quote) {
            ('\'' | '"', None) => (quote, any) = (Some(c), true),
            (c, Some(q)) if c == q => quote = None,
            (' ', None) => {
                if any || !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
                any = false;
            }
            ('#', None) if word.is_empty() => break,
            (c, _) => word.push(c),
        }
    }
    found
}

#[test]
fn every_statement_of_the_manual_runs() {
    let place = Place::new();
    place.sh("REJOIN_NOW=2026-12-01T00:00:00Z rejoin demo --hits 2000 --lake lake >/dev/null");
    // the segment of the examples
    place.sh("rejoin segment create buyers 'orders > 0'");
    let mut script = String::new();
    for topic in topics() {
        let text = topic.markdown();
        let statements = blocks(&text, "sql");
        for block in statements {
            script.push_str(&format!("{block}\n"));
        }
    }
    assert!(script.matches(';').count() > 30, "{script}");
    // a small lake has other returns than the example's
    let known =
        "SELECT min(event_id) FROM events WHERE source = 'store_returns' AND match_status = 'matched' AND revenue <> 0";
    let known = place.cell(known);
    script = script.replace("store_returns/store_returns.txt:17", known.as_str().unwrap());
    place.write("manual.sql", &script);
    place.sh("rejoin shell < manual.sql > results");
    // a line that is no statement would be noticed
    place.write("wrong.sql", "SELECT 1;\nSELECT nme FROM events;\n");
    let done = place.sh("rejoin shell < wrong.sql 2>&1 || echo code $?");
    assert!(done.stdout.contains("line 2") && done.stdout.contains("code 7"), "{}", done.stdout);
}

#[test]
fn every_command_of_the_manual_is_one() {
    let mut seen = 0;
    for topic in topics() {
        for line in blocks(&topic.markdown(), "sh").iter().flat_map(|b| b.lines()) {
            let parsed = Arguments::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{}: {line}: {}", topic.name, parsed.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
    assert!(Arguments::try_parse_from(words("rejoin ingset x")).is_err());
}

#[test]
fn help_finds_topics_and_commands() {
    let place = Place::new();
    let all = place.rejoin("help").ok().stdout;
    for topic in topics() {
        assert!(all.contains(topic.name), "{}", topic.name);
        let text = place.rejoin_with(&["help", topic.name]).ok().stdout;
        assert!(!text.contains('\x1b') && !text.contains("```"), "{text}");
    }
    assert!(all.contains("explain-credit") && all.contains("vacuum"), "{all}");
    // a topic and a command of one name: both
    let ingest = place.rejoin("help ingest").ok().stdout;
    assert!(ingest.contains("alphanumeric order") && ingest.contains("--validate"), "{ingest}");
    // the mappings of data/, whole
    let mapping = place.rejoin("help mapping").ok().stdout;
    let parts =
        ["param(event_params, 'ga_session_id')", "unnest = \"actionDetails\"", "refr_dvce_tstamp", "till/dt=*/*.psv"];
    for part in parts {
        assert!(mapping.contains(part), "{part}: {mapping}");
    }
    let inner = place.rejoin("help source create").ok().stdout;
    assert!(inner.contains("--on-error") && inner.contains("rejoin source create"), "{inner}");
    place.rejoin("help exit codes").ok();
    place.rejoin("help atribution").fails(2, &["did you mean attribution"]);
    let json: serde_json::Value = serde_json::from_str(&place.rejoin("help time --json").ok().stdout).unwrap();
    assert!(json["markdown"].as_str().unwrap().starts_with("# Time"));
}

#[test]
fn the_manual_can_be_written_down() {
    let place = Place::new();
    place.rejoin("help --markdown manual").ok();
    let index = std::fs::read_to_string(place.path().join("manual/README.md")).unwrap();
    let mut files = 0;
    for link in index.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let text = std::fs::read_to_string(place.path().join("manual").join(link)).unwrap();
        assert!(text.starts_with("# "), "{link}: {text}");
        files += 1;
    }
    assert_eq!(files + 1, std::fs::read_dir(place.path().join("manual")).unwrap().count());
    let source = std::fs::read_to_string(place.path().join("manual/command-source.md")).unwrap();
    assert!(source.contains("# rejoin source template"), "{source}");
    place.write("taken", "");
    place.rejoin("help --markdown taken").fails(3, &["taken"]);
}
