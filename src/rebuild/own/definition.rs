//! `.sql` files become definitions of tables.

use std::collections::BTreeSet;
use std::path::Path;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::engine::Statement;
use crate::engine::report_call::is_report;
use crate::lake::Lake;
use crate::lake::store::{QUERIES, is_table_name};
use crate::lake::tables::{self, EVENTS, TableKind};
use crate::{Error, Result};

/// Largest file that is read; longer SQL is a mistake.
const MOST_BYTES: u64 = 1 << 20;

/// A table of the user's own.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name, that of the file.
    pub name: String,
    /// The file's text.
    pub text: String,
    /// What the text means, or why it means nothing.
    pub query: Result<Query, String>,
}

/// A definition that can be tried.
#[derive(Clone, Debug)]
pub struct Query {
    /// `SET` statements before the query.
    pub settings: Vec<String>,
    /// The query whose rows the table holds.
    pub sql: String,
    /// The tables that decide its rows, as the query names them.
    pub reads: BTreeSet<String>,
    /// The column by whose values its rows are renewed.
    pub key: Option<String>,
}

/// Reads the definitions of a folder, or of the lake.
pub async fn definitions(lake: &Lake, folder: Option<&Path>) -> Result<Vec<Definition>> {
    let mut files = match folder {
        Some(folder) => of_folder(folder)?,
        None => of_lake(lake).await?,
    };
    files.sort();
    Ok(files.into_iter().map(|(name, text)| Definition { query: query_of(&name, &text), name, text }).collect())
}

fn of_folder(folder: &Path) -> Result<Vec<(String, String)>> {
    let failed = |path: &Path, e: &dyn std::fmt::Display| {
        Error::configuration(format!("--queries: {}: {e}; give a folder of .sql files", path.display()))
    };
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).map_err(|e| failed(folder, &e))? {
        let path = entry.map_err(|e| failed(folder, &e))?.path();
        let (Some(name), true) = (path.file_name().and_then(|n| n.to_str()), path.is_file()) else { continue };
        let Some(stem) = table_of(name) else { continue };
        let size = path.metadata().map_err(|e| failed(&path, &e))?.len();
        check_size(name, size)?;
        files.push((stem.to_string(), std::fs::read_to_string(&path).map_err(|e| failed(&path, &e))?));
    }
    Ok(files)
}

async fn of_lake(lake: &Lake) -> Result<Vec<(String, String)>> {
    let root = lake.file_path(QUERIES, "")?;
    let mut listed = lake.store().list(Some(&root));
    let mut files = vec![];
    while let Some(object) = listed.try_next().await? {
        let direct = object.location.prefix_match(&root).is_some_and(|parts| parts.count() == 1);
        let Some(stem) = object.location.filename().and_then(table_of).filter(|_| direct) else { continue };
        check_size(stem, object.size)?;
        let bytes = lake.store().get(&object.location).await?.bytes().await?;
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Error::configuration(format!("{}: not UTF-8 text", object.location)))?;
        files.push((stem.to_string(), text));
    }
    Ok(files)
}

/// `daily.sql` is the table `daily`; hidden files are none.
fn table_of(name: &str) -> Option<&str> {
    name.strip_suffix(".sql").filter(|stem| !stem.starts_with('.'))
}

fn check_size(name: &str, bytes: u64) -> Result<()> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::configuration(format!("query {name}: {bytes} bytes are more than a query has (1 MiB)")))
}

/// What a file means: some `SET`s, then one query.
pub(super) fn query_of(name: &str, text: &str) -> Result<Query, String> {
    check_name(name)?;
    let mut statements = Statement::all(text).map_err(|e| e.to_string())?;
    let Some(query) = statements.pop() else { return Err("the file holds no query".into()) };
    let sql = query.to_string();
    let starts = |statement: &str, words: &[&str]| {
        let word = statement.trim_start_matches(['(', ' ']).split_whitespace().next().unwrap_or_default();
        words.iter().any(|w| word.eq_ignore_ascii_case(w))
    };
    if !starts(&sql, &["select", "with", "values"]) {
        return Err(format!("a file ends in a query (SELECT ...), this one in: {}", first_words(&sql)));
    }
    let settings: Vec<String> = statements.iter().map(Statement::to_string).collect();
    if let Some(other) = settings.iter().find(|statement| !starts(statement, &["set"])) {
        return Err(format!("before its one query a file may SET something, this one has: {}", first_words(other)));
    }
    let names = query.names();
    // reading what the lake notes of its work makes no table stale, or it would be so after each rebuild
    let is_log = |name: &str| tables::find(name).is_some_and(|t| t.kind == TableKind::WorkLog);
    let mut reads: BTreeSet<String> = names.tables.iter().filter(|name| !is_log(name)).cloned().collect();
    if names.table_functions.iter().any(|function| is_report(function)) {
        reads.insert(EVENTS.to_string());
        reads.extend(names.lookups().into_iter().map(str::to_string));
    }
    Ok(Query { settings, sql, reads, key: key_of(text)? })
}

/// The column that a comment names, a line of its own: `-- key: visitor_id`.
fn key_of(text: &str) -> Result<Option<String>, String> {
    let comments = text.lines().filter_map(|line| line.trim().strip_prefix("--"));
    let mut keys = comments.filter_map(|comment| comment.trim().strip_prefix("key:")).map(str::trim);
    match (keys.next(), keys.next()) {
        (Some(first), Some(second)) => {
            Err(format!("a table has one key, here are {first} and {second}; leave one line -- key: ..."))
        }
        (Some(""), None) => Err("the key is missing; name a column of the query: -- key: visitor_id".into()),
        (key, _) => Ok(key.map(str::to_string)),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if !is_table_name(name) || name.len() > 60 {
        return Err(
            "a table's name is lower-case letters, digits and _, and begins with a letter; rename the file".into()
        );
    }
    if tables::is_reserved(name) || name == QUERIES {
        return Err(format!("every lake has a table {name}; rename the file"));
    }
    Ok(())
}

fn first_words(statement: &str) -> String {
    statement.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_query_reads_is_in_its_text() {
        let reads = |sql: &str| query_of("mine", sql).unwrap().reads.into_iter().collect::<Vec<_>>();
        assert_eq!(reads("SELECT 1"), Vec::<String>::new());
        assert_eq!(reads("WITH a AS (SELECT * FROM hits) SELECT * FROM a JOIN daily USING (x)"), ["daily", "hits"]);
        assert_eq!(
            reads("SELECT * FROM attribution('orders', 'campaigns.channel') WHERE item IN (SELECT x FROM wanted)"),
            ["campaigns", "events", "wanted"]
        );
        assert_eq!(reads("SELECT count(*) FROM rebuilds"), Vec::<String>::new());
        let query = query_of("mine", "SET rejoin.suite = 'acme'; SELECT 1 AS n;").unwrap();
        assert_eq!(query.settings.len(), 1);
    }

    #[test]
    fn a_comment_names_the_key() {
        let key = |sql: &str| query_of("mine", sql).unwrap().key;
        assert_eq!(key("-- what it is\n  --key: visitor_id \nSELECT 1 -- key: other"), Some("visitor_id".into()));
        assert_eq!(key("-- the key: none\nSELECT 1"), None);
    }

    #[test]
    fn files_that_mean_no_table_say_why() {
        for (name, text, why) in [
            ("Daily", "SELECT 1", "lower-case"),
            ("events", "SELECT 1", "every lake has a table events"),
            ("mine", "", "no query"),
            ("mine", "SELEC 1", "SELEC"),
            ("mine", "DROP TABLE hits", "ends in a query"),
            ("mine", "CREATE TABLE x AS SELECT 1; SELECT 1", "may SET"),
            ("mine", "-- key: a\n--key: b\nSELECT 1 AS a", "one key, here are a and b"),
            ("mine", "-- key:\nSELECT 1 AS a", "the key is missing"),
        ] {
            let error = query_of(name, text).unwrap_err();
            assert!(error.contains(why), "{name}: {text}: {error}");
        }
    }
}
