//! What an assistant can ask: tools with their arguments, and their answers as text.
//!
//! Rows are JSON, as `--format json` has them; an answer has at most [`MOST_ROWS`] rows and [`MOST_BYTES`] bytes.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::columns::{is_dimension, is_metric};
use crate::error::did_you_mean;
use crate::format::{Format, TextStyle};
use crate::manual::{topic, topics};
use crate::quote::literal;
use crate::report::{find, reports};
use crate::serve::failure::Failure;
use crate::serve::session::Session;
use crate::{Error, Result};

/// Rows of an answer, where nothing is said of them, and at most.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1000;

/// Longest answer.
const MOST_BYTES: usize = 1 << 20;

/// As much of a wrong name is shown.
const NAME_CHARS: usize = 64;

/// The answer of a statement that has no rows.
const NO_ROWS: &str = "[]";

/// Arguments of a question that are SQL texts, beside a report's parameters.
const FILTERS: [&str; 7] = ["conversions", "touches", "visitors", "visits", "segment", "last_resort", "repeats"];

/// A tool: its name, what it does, and its arguments: name, JSON type, what it means; those that must be there come first.
struct Kind {
    name: &'static str,
    about: &'static str,
    required: usize,
    arguments: &'static [(&'static str, &'static str, &'static str)],
}

const SUITE: (&str, &str, &str) = ("suite", "string", "The report suite; needed where the lake has several");
const MAX_ROWS: (&str, &str, &str) = ("rows", "integer", "Most rows of the answer, 100 by default and 1000 at most");

const KINDS: [Kind; 6] = [
    Kind {
        name: "tables",
        about: "The tables of the lake; with the name of one its columns and their types.",
        required: 0,
        arguments: &[("table", "string", "A table, e.g. events"), SUITE],
    },
    Kind {
        name: "columns",
        about: "The metrics and the dimensions that questions can be about, with the names that users gave them.",
        required: 0,
        arguments: &[SUITE],
    },
    Kind {
        name: "query",
        about: "Answers one SQL statement that reads (PostgreSQL's syntax). Aggregate or limit: an answer has few rows.",
        required: 1,
        arguments: &[("sql", "string", "The statement"), SUITE, MAX_ROWS],
    },
    Kind {
        name: "report",
        about: "A report by name, e.g. model_comparison or net_revenue; without a name all reports with their parameters.",
        required: 0,
        arguments: &[
            ("name", "string", "The report"),
            (
                "parameters",
                "object",
                "Values of its parameters, e.g. metric, dimension, since; and filters: conversions, touches, visitors and visits (SQL conditions over events), segment, last_resort, repeats",
            ),
            SUITE,
            MAX_ROWS,
        ],
    },
    Kind {
        name: "explain_conversion",
        about: "Why the items of one conversion got what they got: its touches with each model's share.",
        required: 3,
        arguments: &[
            ("event_id", "string", "The conversion: an event_id of events, conversions(...) or credits(...)"),
            ("metric", "string", "The metric, e.g. revenue"),
            ("dimension", "string", "The dimension, e.g. tracking_code"),
            ("container", "string", "visit, visitor or person; visitor by default"),
            ("lookback", "string", "How long before it a touch counts, e.g. '30 days', or all"),
            ("basis", "string", "event, or snapshot: at the online hit of a matched record"),
            SUITE,
        ],
    },
    Kind {
        name: "manual",
        about: "The manual: a chapter as Markdown; without a topic all topics.",
        required: 0,
        arguments: &[("topic", "string", "A chapter, e.g. attribution, questions, functions, tables")],
    },
];

/// All tools, as the protocol lists them.
pub(super) fn all() -> Vec<Tool> {
    KINDS.iter().map(tool).collect()
}

fn tool(kind: &Kind) -> Tool {
    let property = |(name, kind, about): &(&str, &str, &str)| {
        let mut schema = json!({ "type": kind, "description": about });
        if *kind == "object" {
            schema["additionalProperties"] = json!({ "type": ["string", "number", "boolean"] });
        }
        ((*name).to_string(), schema)
    };
    let required: Vec<&str> = kind.arguments[..kind.required].iter().map(|(name, ..)| *name).collect();
    let mut schema = JsonObject::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(kind.arguments.iter().map(property).collect()));
    schema.insert("required".into(), json!(required));
    schema.insert("additionalProperties".into(), Value::Bool(false));
    let reads = ToolAnnotations::new().read_only(true).open_world(false);
    Tool::new(kind.name, kind.about, Arc::new(schema)).with_annotations(reads)
}

/// A tool with the arguments that it is given.
pub(super) struct Given {
    kind: &'static Kind,
    arguments: JsonObject,
}

impl Given {
    /// The tool of a name.
    ///
    /// # Errors
    /// There is no such tool, or it does not take these arguments.
    pub fn new(name: &str, arguments: JsonObject) -> Result<Self> {
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let hint = did_you_mean(name, KINDS.iter().map(|kind| kind.name));
            return Err(Error::usage(format!("there is no tool {name:?}{hint}")));
        };
        let names = || kind.arguments.iter().map(|(name, ..)| *name);
        for (argument, value) in &arguments {
            let Some((_, wanted, _)) = kind.arguments.iter().find(|(name, ..)| name == argument) else {
                let hint = did_you_mean(argument, names());
                return Err(Error::usage(format!("{name} has no argument {argument:?}{hint}")));
            };
            let fits = match *wanted {
                "integer" => value.is_u64(),
                "object" => value.is_object(),
                _ => value.is_string(),
            };
            if !fits && !value.is_null() {
                return Err(Error::usage(format!("{name}: {argument} is of the type {wanted}")));
            }
        }
        let given = Self { kind, arguments };
        let lacks = names().take(kind.required).find(|name| given.text(name).is_none());
        match lacks {
            Some(lacks) => Err(Error::usage(format!("{name}: the argument {lacks} is missing"))),
            None => Ok(given),
        }
    }

    /// The suite that it is about; empty where none is named.
    pub fn suite(&self) -> &str {
        self.text("suite").unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str()
    }

    fn rows(&self) -> usize {
        let rows = self.arguments.get("rows").and_then(Value::as_u64);
        rows.map_or(ROWS, |rows| usize::try_from(rows).unwrap_or(MOST_ROWS)).min(MOST_ROWS)
    }

    /// The answer.
    pub async fn answer(&self, session: &Session) -> Result<String, Failure> {
        match self.kind.name {
            "tables" => self.tables(session).await,
            "columns" => columns(session).await,
            "query" => rows(session, self.text("sql").unwrap_or_default(), self.rows()).await,
            "report" => match self.text("name") {
                Some(name) => rows(session, &self.report(name)?, self.rows()).await,
                None => Ok(pretty(&json!(reports()))?),
            },
            "explain_conversion" => rows(session, &self.path(), MOST_ROWS).await,
            _ => Ok(self.manual()?),
        }
    }

    async fn tables(&self, session: &Session) -> Result<String, Failure> {
        let table = self.text("table");
        let found = rows(session, &tables(table), MOST_ROWS).await?;
        match table {
            // a table has columns
            Some(name) if found == NO_ROWS => {
                let known = session.engine.tables().await?;
                let name: String = name.chars().take(NAME_CHARS).collect();
                let hint = did_you_mean(&name, known.iter().map(String::as_str));
                Err(Error::usage(format!("there is no table {name:?}{hint}")).into())
            }
            _ => Ok(found),
        }
    }

    fn report(&self, name: &str) -> Result<String> {
        let report = find(name)?;
        let given = self.arguments.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default();
        let (mut values, mut filters) = (vec![], vec![]);
        for (parameter, value) in &given {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null => continue,
                _ => return Err(Error::usage(format!("{name}: {parameter} is a text or a number"))),
            };
            let filter = FILTERS.iter().find(|filter| *filter == parameter).filter(|_| !report.has(parameter));
            match filter {
                Some(filter) => filters.push((*filter, literal(&text))),
                None => values.push((parameter.as_str(), text)),
            }
        }
        let values: Vec<(&str, &str)> = values.iter().map(|(parameter, text)| (*parameter, text.as_str())).collect();
        report.filtered(&report.with(&values)?, &filters)
    }

    fn path(&self) -> String {
        let options = ["container", "lookback", "basis"].into_iter();
        let options = options.filter_map(|name| Some(format!(", {name} => {}", literal(self.text(name)?))));
        let options: String = options.collect();
        let of = |name: &str| literal(self.text(name).unwrap_or_default());
        format!("SELECT * FROM credit_path({}, {}, {}{options})", of("metric"), of("dimension"), of("event_id"))
    }

    fn manual(&self) -> Result<String> {
        match self.text("topic") {
            Some(name) => topic(name).map(|topic| topic.markdown()).ok_or_else(|| {
                let hint = did_you_mean(name, topics().iter().map(|topic| topic.name));
                Error::usage(format!("the manual has no topic {name:?}{hint}"))
            }),
            None => Ok(topics().iter().map(|topic| format!("{}: {}\n", topic.name, topic.about)).collect()),
        }
    }
}

fn tables(table: Option<&str>) -> String {
    match table {
        None => "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name".into(),
        Some(table) => format!(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = {} ORDER BY ordinal_position",
            literal(table)
        ),
    }
}

async fn columns(session: &Session) -> Result<String, Failure> {
    let events = session.describe("SELECT * FROM events").await?;
    let friendly = session.engine.tables_schema().view().friendly_names();
    let one = |field: &Field| match friendly.get(field.name()) {
        Some(friendly) => json!({ "column": field.name(), "name": friendly }),
        None => json!({ "column": field.name() }),
    };
    let of = |fits: fn(&Field) -> bool| -> Vec<Value> {
        events.schema.fields().iter().filter(|field| fits(field)).map(|field| one(field)).collect()
    };
    Ok(pretty(&json!({ "metrics": of(is_metric), "dimensions": of(is_dimension) }))?)
}

/// The first rows of a statement's answer, and whether there are more.
async fn rows(session: &Session, sql: &str, most: usize) -> Result<String, Failure> {
    let mut found = session.run(sql, vec![]).await?;
    let (mut batches, mut count, mut cut) = (vec![], 0, false);
    while !cut && let Some(batch) = found.next().await {
        let batch = batch?;
        cut = batch.num_rows() > most - count;
        let batch = batch.slice(0, batch.num_rows().min(most - count));
        count += batch.num_rows();
        batches.push(batch);
    }
    let text = json(&found.schema, &batches)?;
    Ok(match cut {
        true => format!("{text}\nThere are more than these {count} rows: aggregate, filter, or ask for more rows."),
        false => text,
    })
}

fn json(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String> {
    let mut text = BoundedText::default();
    let written = write_json(schema, batches, &mut text);
    if text.is_full {
        let message = format!("the answer has more than {MOST_BYTES} bytes; ask for fewer rows or columns");
        return Err(Error::usage(message));
    }
    written?;
    Ok(String::from_utf8_lossy(&text.bytes).trim_end().to_string())
}

fn write_json(schema: &SchemaRef, batches: &[RecordBatch], out: &mut BoundedText) -> Result<()> {
    let mut encoder = Format::Json.encoder(schema, TextStyle::default(), out)?;
    batches.iter().try_for_each(|batch| encoder.rows(batch))?;
    encoder.finish()
}

/// What is written, as long as it has at most [`MOST_BYTES`].
#[derive(Default)]
struct BoundedText {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Write for BoundedText {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.is_full |= self.bytes.len() + part.len() > MOST_BYTES;
        if self.is_full {
            return Err(std::io::Error::other("the answer is too long"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::bug(format!("an answer as JSON: {e}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn given(name: &str, arguments: &Value) -> Result<Given> {
        Given::new(name, arguments.as_object().unwrap().clone())
    }

    #[test]
    fn what_is_asked_wrong_is_told() {
        for (name, arguments, why) in [
            ("qery", json!({}), "did you mean query"),
            ("query", json!({}), "sql is missing"),
            ("query", json!({ "sql": 1 }), "sql is of the type string"),
            ("query", json!({ "sql": "SELECT 1", "row": 1 }), "did you mean rows"),
            ("query", json!({ "sql": "SELECT 1", "rows": -1 }), "rows is of the type integer"),
            ("explain_conversion", json!({ "event_id": "e", "metric": "orders" }), "dimension is missing"),
            ("report", json!({ "parameters": [] }), "parameters is of the type object"),
        ] {
            let error = given(name, &arguments).err().unwrap().to_string();
            assert!(error.contains(why), "{name} {arguments}: {error}");
        }
    }

    #[test]
    fn texts_stay_texts() {
        let path = json!({ "event_id": "a'; --", "metric": "orders", "dimension": "x", "lookback": "all" });
        let sql = given("explain_conversion", &path).unwrap().path();
        assert_eq!(sql, "SELECT * FROM credit_path('orders', 'x', 'a''; --', lookback => 'all')");
        let report = json!({ "name": "model_comparison", "parameters": { "metric": "a'b", "conversions": "x = 'y'" } });
        let sql = given("report", &report).unwrap().report("model_comparison").unwrap();
        assert!(sql.contains("'a''b'") && sql.contains("conversions => 'x = ''y'''"), "{sql}");
        // numbers are what they say, and null is nothing
        let report = json!({ "name": "model_comparison", "parameters": { "metric": 7, "dimension": null } });
        let sql = given("report", &report).unwrap().report("model_comparison").unwrap();
        assert!(sql.contains("'7'"), "{sql}");
        let report = json!({ "name": "model_comparison", "parameters": { "metric": ["a"] } });
        assert!(given("report", &report).unwrap().report("model_comparison").is_err());
    }

    #[test]
    fn an_answer_is_bounded() {
        let texts = |length: usize, rows: usize| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(length); rows]));
            RecordBatch::try_from_iter([("t", texts)]).unwrap()
        };
        let of = |batch: RecordBatch| json(&batch.schema(), &[batch]);
        assert_eq!(of(texts(1, 1)).unwrap(), "[\n{\"t\":\"x\"}\n]");
        assert_eq!(of(texts(1, 0)).unwrap(), NO_ROWS);
        assert!(of(texts(1000, 900)).unwrap().len() > 900_000);
        for long in [texts(1000, 1100), texts(2_000_000, 1)] {
            assert!(of(long).unwrap_err().to_string().contains("fewer rows or columns"));
        }
    }

    #[test]
    fn rows_are_bounded() {
        for (rows, most) in [(json!(5), 5), (json!(1_000_000_000_000_u64), MOST_ROWS), (Value::Null, ROWS)] {
            assert_eq!(given("query", &json!({ "sql": "SELECT 1", "rows": rows })).unwrap().rows(), most);
        }
    }
}
