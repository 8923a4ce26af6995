//! Inputs that are written and committed together, and beside others.

use std::collections::BTreeMap;

use super::*;

/// Small inputs that follow each other share files, and each can be replaced and taken out as if they did not.
#[tokio::test(flavor = "multi_thread")]
async fn small_inputs_share_files() {
    let bench = Bench::new().await;
    let days = ["acme_2026-10-01", "acme_2026-10-02", "acme_2026-10-03"].map(String::from);
    let manifests = [30, 40, 50].map(|count| bench.delivery(&days[count as usize / 10 - 3], &[hits(count)]));
    let folder = manifests[0].parent().unwrap().to_path_buf();
    let loaded = "acme_2026-10-01 loaded 30+0\nacme_2026-10-02 loaded 40+0\nacme_2026-10-03 loaded 50+0";
    assert_eq!(said(&bench.ingest(std::slice::from_ref(&folder), |_| {}).await), loaded);
    let snapshot = Snapshot::open(&bench.lake, "hits", None).await.unwrap();
    let mut rows = BTreeMap::new();
    for file in &snapshot.files {
        let parts = file.loads().unwrap();
        assert_eq!(parts.iter().map(|part| &part.file).collect::<Vec<_>>(), days.iter().collect::<Vec<_>>());
        parts.into_iter().for_each(|part| *rows.entry(part.file).or_insert(0) += part.rows.unwrap());
    }
    assert_eq!(rows.into_values().collect::<Vec<_>>(), [30, 40, 50]);
    // the days begin with the same hits
    let repeats = snapshot.files.iter().map(|file| file.tags["rejoin.repeats"].parse::<u32>().unwrap()).sum::<u32>();
    assert_eq!(repeats, 70);
    assert_eq!(bench.query("SELECT name FROM browser ORDER BY id").await, ["Firefox", "Chrome"]);
    let again: Vec<String> = days.iter().map(|day| format!("{day} unchanged")).collect();
    assert_eq!(said(&bench.ingest(&[folder], |_| {}).await), again.join("\n"));

    bench.delivery(&days[1], &[hits(20)]);
    let replaced = bench.ingest(&manifests[1..2], |options| options.replace = true).await;
    assert_eq!(said(&replaced), "acme_2026-10-02 replaced 20+0");
    let count = "SELECT file, count(*) FROM hits GROUP BY 1 ORDER BY 1";
    assert_eq!(bench.query(count).await, ["acme_2026-10-01|30", "acme_2026-10-02|20", "acme_2026-10-03|50"]);
    remove(&bench.lake, &days[..1], None, None).await.unwrap();
    assert_eq!(bench.query(count).await, ["acme_2026-10-02|20", "acme_2026-10-03|50"]);
}

/// A column that the lake cannot have refuses the input that has values in it, and none of those that it came with.
#[tokio::test(flavor = "multi_thread")]
async fn one_input_of_several_is_refused() {
    let bench = Bench::new().await;
    let head = "kind = 'online'\nsuite = 'acme'\nvisitor_id = 'user'\ntime = 'ts'\n";
    let former = bench.file("former.toml", format!("{head}[metrics]\nscore = 'n'\n"));
    let first = bench.file("first.csv", "user,ts,n\na,2026-10-01T00:00:00Z,1\n");
    let done = bench.ingest(&[first], |options| options.mappings = vec![former]).await;
    assert!(matches!(done[..], [Outcome { status: Status::Loaded, .. }]), "{done:?}");
    let mapping = bench.file("days.toml", format!("{head}[dimensions]\nscore = 'class'\npage_name = 'page'\n"));
    for (day, class) in [(1, ""), (2, ""), (3, "high"), (4, "")] {
        let row = format!("user,ts,class,page\na,2026-09-0{day}T00:00:00Z,{class},home\n");
        bench.file(&format!("days/{day}.csv"), row);
    }
    let days = bench.path("days/x").parent().unwrap().to_path_buf();
    let done = bench.ingest(&[days], |options| options.mappings = vec![mapping]).await;
    let refused = |outcome: &Outcome| matches!(&outcome.status, Status::Refused(error) if error.to_string().contains("column score is a metric"));
    assert_eq!(done.iter().map(refused).collect::<Vec<_>>(), [false, false, true, false], "{done:?}");
    assert_eq!(bench.query("SELECT count(*), count(page_name) FROM hits").await, ["4|3"]);
}

/// The same where the column comes with an input that is written while the others are read.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_is_refused_for_one_that_is_written() {
    let bench = Bench::new().await;
    let head = "kind = 'online'\nsuite = 'acme'\nvisitor_id = 'user'\ntime = 'ts'\n";
    let metric = bench.file("metric.toml", format!("{head}files = '1.csv'\n[metrics]\nscore = 'n'\n"));
    let files = "files = ['2.csv', '3.csv', '4.csv']\n[dimensions]\nscore = 'class'\npage_name = 'page'\n";
    let dimension = bench.file("dimension.toml", format!("{head}{files}"));
    bench.file("days/1.csv", "user,ts,n\na,2026-10-01T00:00:00Z,1\n");
    for (day, class) in [(2, ""), (3, "high"), (4, "")] {
        let row = format!("user,ts,class,page\na,2026-09-0{day}T00:00:00Z,{class},home\n");
        bench.file(&format!("days/{day}.csv"), row);
    }
    let days = bench.path("days/x").parent().unwrap().to_path_buf();
    let done = bench.ingest(&[days], |options| options.mappings = vec![metric, dimension]).await;
    let refused = |outcome: &Outcome| matches!(&outcome.status, Status::Refused(error) if error.to_string().contains("column score is a metric"));
    assert_eq!(done.iter().map(refused).collect::<Vec<_>>(), [false, false, true, false], "{done:?}");
    assert_eq!(bench.query("SELECT count(*), count(page_name), sum(score) FROM hits").await, ["3|2|1.0"]);
}
