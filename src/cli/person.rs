//! `rejoin person`: the user's rules about whose rows are whose. `rejoin explain-person`: who a person is, and why.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::engine::Engine;
use crate::format::Format;
use crate::lake::Registry;
use crate::lake::person_rules;
use crate::lake::records::{PersonRule, Suite};
use crate::lake::suites::{self, suites};
use crate::persons::{Rule, Subject, Verb};
use crate::quote::literal;
use crate::report::PersonSql;
use crate::{Error, Result};

const SUBJECTS: &str = "\
A customer ID is written id:ID, a visitor visitor:ID; without these words it is looked for among the hits. A rule \
holds from the next rebuild on, for all rows; no hit changes. Where two rules contradict each other, the later one \
holds.";

#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Say that two are one person: customer IDs, visitors, or a visitor and a customer ID
    #[command(after_help = format!("{SUBJECTS} The rows of a visitor that have no ID go to the ID that the visitor is linked \
to.\n
Examples:
  rejoin person link id:ann id:ann@example.com
  rejoin person link visitor:1_2 visitor:3_4
  rejoin person link visitor:1_2 id:ann && rejoin rebuild"))]
    Link(LinkedPair),
    /// Take a link back, or say that a customer ID does not count on a visitor
    #[command(after_help = format!("{SUBJECTS}\n\nExample:\n  rejoin person unlink visitor:1_2 id:ann"))]
    Unlink(LinkedPair),
    /// Say that a customer ID is no person: a shared computer, a test account
    #[command(after_help = format!("{SUBJECTS}\n\nExample:\n  rejoin person block id:kiosk"))]
    Block {
        /// The customer ID
        id: String,
    },
    /// Let a customer ID be a person again
    Unblock {
        /// The customer ID
        id: String,
    },
    /// All rules, the oldest first
    Rules,
}

#[derive(Debug, Args)]
pub struct LinkedPair {
    /// id:ID or visitor:ID
    pub first: String,
    /// id:ID or visitor:ID
    pub second: String,
}

/// Who a person is: which visitors, from when to when, and why
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rejoin explain-person id:ann\n  rejoin explain-person visitor:1_2 --json")]
pub struct ExplainPersonArguments {
    /// A customer ID (id:ID) or a visitor (visitor:ID)
    #[arg(value_name = "ID|VISITOR")]
    pub whom: String,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

/// Runs `person link`, `unlink`, `block`, `unblock`, `rules`.
pub async fn run(settings: &Settings, command: &PersonCommand) -> Result<()> {
    let lake = &settings.lake;
    let all = suites(lake).await?;
    let suite = suites::one(&all, settings.suite.as_deref())?;
    let (verb, first, second) = match command {
        PersonCommand::Rules => return list(settings, suite).await,
        PersonCommand::Link(pair) => (Verb::Link, &pair.first, Some(&pair.second)),
        PersonCommand::Unlink(pair) => (Verb::Unlink, &pair.first, Some(&pair.second)),
        PersonCommand::Block { id } => (Verb::Block, id, None),
        PersonCommand::Unblock { id } => (Verb::Unblock, id, None),
    };
    let engine = Engine::open(lake.clone(), settings.engine(None)?).await?;
    let first = subject(&engine, first, second.is_none()).await?;
    let second = match second {
        Some(text) => Some(subject(&engine, text, false).await?),
        None => None,
    };
    let rule = Rule::new(verb, first, second).map_err(Error::usage)?;
    person_rules::add(lake, &suite.suite, std::slice::from_ref(&rule)).await?;
    let mut output = Output::stdout(Format::Table);
    let second = rule.second.as_ref().map(ToString::to_string);
    if settings.json {
        output.json(
            &json!({"suite": suite.suite, "rule": verb.to_string(), "first": rule.first.to_string(), "second": second}),
        )?;
    } else {
        let off = match suite.has_persons() {
            true => String::new(),
            false => {
                format!("; persons are off in this suite: rejoin suite set {} --persons device_split", suite.suite)
            }
        };
        let second = second.map_or(String::new(), |second| format!(" {second}"));
        output.line(format!("{verb} {}{second}: holds from the next rebuild on{off}", rule.first))?;
    }
    output.close()
}

async fn list(settings: &Settings, suite: &Suite) -> Result<()> {
    let all = Registry::<PersonRule>::read(&settings.lake).await?.rows;
    let own = person_rules::in_order(&all, &suite.suite);
    let mut output = Output::stdout(Format::Table).with_null("");
    if settings.json {
        output.json(&own)?;
        return output.close();
    }
    let listing = Listing::new()
        .time("made", own.iter().map(|rule| rule.made))
        .text("rule", own.iter().map(|rule| &rule.rule))
        .text("whom", own.iter().map(|rule| &rule.first))
        .text("with", own.iter().map(|rule| rule.second.as_deref().unwrap_or_default()));
    output.batch(&listing.batch()?)?;
    output.close()
}

/// What a text is about: as it says, else what is found among the hits.
pub(super) async fn subject(engine: &Engine, text: &str, only_ids: bool) -> Result<Subject> {
    let says =
        text.split_once(':').is_some_and(|(kind, _)| ["id", "visitor"].contains(&kind.trim().to_lowercase().as_str()));
    if says {
        return text.parse().map_err(Error::usage);
    }
    // refused for what it is, before anything is looked for
    let as_id: Subject = format!("id:{text}").parse().map_err(Error::usage)?;
    if only_ids {
        return Ok(as_id);
    }
    let known = async |column: &str| {
        let sql = format!("SELECT 1 FROM hits WHERE trim({column}) = trim({}) LIMIT 1", literal(text));
        Ok::<_, Error>(engine.collect(&sql).await?.iter().any(|batch| batch.num_rows() > 0))
    };
    match (known("customer_id").await?, known("visitor_id").await?) {
        (true, false) => Ok(as_id),
        (false, true) => Ok(Subject::Visitor(text.to_string())),
        (true, true) => Err(Error::usage("it is a customer ID and a visitor; write id:ID or visitor:ID")),
        (false, false) => {
            Err(Error::usage("no hit has this customer ID or visitor; write id:ID or visitor:ID if one will come"))
        }
    }
}

/// Prints who a person is.
pub async fn explain(settings: &Settings, arguments: &ExplainPersonArguments) -> Result<()> {
    let all = suites(&settings.lake).await?;
    let suite = suites::one(&all, settings.suite.as_deref())?;
    if !suite.has_persons() {
        let name = &suite.suite;
        return Err(Error::configuration(format!(
            "persons are off in suite {name}; switch them on: rejoin suite set {name} --persons device_split"
        )));
    }
    let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())?).await?;
    let whom = subject(&engine, &arguments.whom, false).await?;
    let sql = PersonSql::of(&suite.suite);
    let found = match &whom {
        Subject::Id(id) => sql.of_id(id),
        Subject::Visitor(visitor) => sql.of_visitor(visitor),
    };
    let found = texts(&one_batch(&engine, &found).await?, 0)?;
    let persons = if found.is_empty() { vec![whom.to_string()] } else { found };
    let mut output = Output::stdout(Format::Table).with_null("");
    let mut documents = vec![];
    for person in &persons {
        let spans = one_batch(&engine, &sql.spans(person)).await?;
        let rows = one_batch(&engine, &sql.rows(person)).await?;
        let count =
            |kind: usize| rows.column(kind).as_primitive::<Int64Type>().iter().flatten().next().unwrap_or_default();
        let (online, offline, visitors) = (count(0), count(1), count(2));
        let audit = one_batch(&engine, &sql.ids(person)).await?;
        if settings.json {
            documents.push(json!({
                "person_id": person, "online_rows": online, "offline_rows": offline, "visitors": visitors,
                "spans": objects(&spans)?, "ids": objects(&audit)?,
            }));
            continue;
        }
        if online + offline + visitors == 0 && spans.num_rows() + audit.num_rows() == 0 {
            output.line(format!("{person}: no row is of this person at the last rebuild; IDs compare exactly"))?;
            continue;
        }
        output.line(format!("{person}: {online} online and {offline} offline rows, of {visitors} visitors"))?;
        if spans.num_rows() > 0 {
            output.batch(&spans)?;
        }
        if audit.num_rows() > 0 {
            output.line("\nIDs that rules or the limit are about:")?;
            output.batch(&audit)?;
        }
    }
    if settings.json {
        output.json(&documents)?;
    }
    output.close()
}

/// A person of a suite as the last rebuild found it.
pub(super) struct FoundPerson {
    suite: String,
    person_id: String,
    /// `visitor`, `from`, `until`, `why`.
    spans: RecordBatch,
    /// The rules that name one of the visitors or IDs.
    rules: Vec<PersonRule>,
}

/// Who is meant in each suite that has persons, with the visitors whose rows are this person's and the rules that say so.
pub(super) async fn found(settings: &Settings, whom: &Subject) -> Result<Vec<FoundPerson>> {
    let engine = Engine::open(settings.lake.clone(), settings.engine(None)?).await?;
    let rules = Registry::<PersonRule>::read(&settings.lake).await?.rows;
    let is_asked = |suite: &Suite| settings.suite.as_ref().is_none_or(|asked| *asked == suite.suite);
    let mut found = vec![];
    for suite in suites(&settings.lake).await?.into_iter().filter(|suite| suite.has_persons() && is_asked(suite)) {
        let sql = PersonSql::of(&suite.suite);
        let linked = match whom {
            Subject::Id(id) => texts(&one_batch(&engine, &sql.of_id(id)).await?, 0)?.into_iter().next(),
            Subject::Visitor(_) => None,
        };
        let person_id = linked.unwrap_or_else(|| whom.to_string());
        let spans = one_batch(&engine, &sql.spans(&person_id)).await?;
        let ids = texts(&one_batch(&engine, &sql.ids(&person_id)).await?, 0)?;
        let visitors = texts(&spans, 0)?.into_iter().map(|visitor| Subject::Visitor(visitor).to_string());
        let named: BTreeSet<String> =
            visitors.chain(ids.into_iter().map(|id| Subject::Id(id).to_string())).chain([person_id.clone()]).collect();
        let says_so = |rule: &&PersonRule| {
            let mut both = [Some(&rule.first), rule.second.as_ref()].into_iter().flatten();
            rule.rule.parse::<Verb>().is_ok() && both.any(|subject| named.contains(subject))
        };
        let rules = person_rules::in_order(&rules, &suite.suite).into_iter().filter(says_so).cloned().collect();
        found.push(FoundPerson { suite: suite.suite, person_id, spans, rules });
    }
    Ok(found)
}

impl FoundPerson {
    /// Shows the visitors and the rules, where there are any.
    pub(super) fn show(&self, output: &mut Output) -> Result<()> {
        if self.spans.num_rows() == 0 {
            return Ok(());
        }
        output.line(format!("{} in {}:", self.person_id, self.suite))?;
        output.batch(&self.spans)?;
        for rule in &self.rules {
            let second = rule.second.as_deref().unwrap_or_default();
            output.line(format!("by the rule: {} {} {second}", rule.rule, rule.first).trim_end())?;
        }
        output.line("")
    }

    /// The same for scripts.
    pub(super) fn report(&self) -> Result<Value> {
        let Self { suite, person_id, spans, rules } = self;
        Ok(json!({"suite": suite, "person_id": person_id, "spans": objects(spans)?, "rules": rules}))
    }
}

async fn one_batch(engine: &Engine, sql: &str) -> Result<RecordBatch> {
    let running = engine.run(sql).await?;
    let schema = running.schema.clone();
    let batches = datafusion::physical_plan::common::collect(running.rows).await?;
    Ok(concat_batches(&schema, &batches)?)
}

fn texts(batch: &RecordBatch, column: usize) -> Result<Vec<String>> {
    let column = cast(batch.column(column), &DataType::Utf8)?;
    Ok(column.as_string::<i32>().iter().flatten().map(str::to_string).collect())
}

fn objects(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>> {
    let columns = batch.schema();
    let mut all = vec![Map::new(); batch.num_rows()];
    for (field, column) in columns.fields().iter().zip(batch.columns()) {
        let texts = cast(column, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        for (row, object) in all.iter_mut().enumerate() {
            let value = match column.data_type() {
                _ if column.is_null(row) => Value::Null,
                DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
                _ => json!(texts.value(row)),
            };
            object.insert(field.name().clone(), value);
        }
    }
    Ok(all)
}
