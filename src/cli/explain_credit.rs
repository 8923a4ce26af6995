//! `rejoin explain-credit`: why the items of one conversion got what they got, for a person.

use clap::Args;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde_json::{Map, Value, json};

use super::filters::Filters;
use super::output::Output;
use super::settings::Settings;
use crate::engine::Engine;
use crate::format::Format;
use crate::quote::{literal, quoted};
use crate::{Error, Result};

/// How the credit of one conversion is shared: its touches, and each model's share
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rejoin explain-credit revenue tracking_code 'store_returns/store_returns.txt:17'
  rejoin explain-credit orders marketing_channel 9223372036854775807 --lookback '90 days' \\
      --models 'linear,time_decay(3 days)'

The event_id of a conversion is a column of the table events, and of conversions('revenue', 'tracking_code').")]
pub struct ExplainArguments {
    /// The metric that was converted, e.g. revenue
    pub metric: String,
    /// The dimension whose items share it, e.g. tracking_code
    pub dimension: String,
    /// The conversion, as in the table events
    #[arg(allow_hyphen_values = true)]
    pub event_id: String,
    /// How far apart touch and conversion may be
    #[arg(long, value_name = "visit|visitor|person")]
    pub container: Option<String>,
    /// How long before the conversion a touch still counts [default: 30 days]
    #[arg(long, value_name = "TIME")]
    pub lookback: Option<String>,
    /// Where an offline conversion stands: at its own time, or at its online hit
    #[arg(long, value_name = "event|snapshot")]
    pub basis: Option<String>,
    /// Count values that an offline record took from its online hit as touches, too
    #[arg(long)]
    pub inherited: bool,
    /// The models to show, separated by commas
    #[arg(long, value_name = "MODEL,...")]
    pub models: Option<String>,
    #[command(flatten)]
    pub filters: Filters,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

/// Columns before those of the models: the local time, and `credit_path`'s own.
const BEFORE_MODELS: usize = 7;
/// The clock of the suite's zone.
const LOCAL: &str = "to_char(local_time(hit_time), '%Y-%m-%d %H:%M:%S')";
/// Why a model is missing.
const NOT_OF_ALL: &str =
    "Algorithmic and Markov shares are not shown: they depend on all journeys, not on this one alone.";

/// Prints the conversion and its touches, each with every model's share.
pub async fn run(settings: &Settings, arguments: &ExplainArguments) -> Result<()> {
    let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())?).await?;
    let touches = one_batch(&engine, &touches_sql(arguments)).await?;
    let event = one_batch(&engine, &event_sql(arguments)).await?;
    let mut output = Output::stdout(Format::Table).with_null("-");
    if settings.json {
        let mut document = rows(&event)?.into_iter().next().unwrap_or_default();
        document.remove("local");
        document.insert("touches".into(), rows(&touches)?.into_iter().map(|touch| nested(&touch, &touches)).collect());
        output.json(&document)?;
        return output.close();
    }
    for line in heading(arguments, &event)? {
        output.line(line)?;
    }
    output.batch(&table(&touches)?)?;
    output.line(NOT_OF_ALL)?;
    output.close()
}

fn touches_sql(arguments: &ExplainArguments) -> String {
    let options = [
        ("container", &arguments.container),
        ("lookback", &arguments.lookback),
        ("basis", &arguments.basis),
        ("models", &arguments.models),
    ];
    let options = options.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let mut options: String = options.map(|(name, value)| format!(", {name} => {}", literal(value))).collect();
    if arguments.inherited {
        options.push_str(", inherited => true");
    }
    options.extend(arguments.filters.given().into_iter().map(|(name, value)| format!(", {name} => {value}")));
    let [metric, dimension, event] =
        [&arguments.metric, &arguments.dimension, &arguments.event_id].map(|text| literal(text));
    format!("SELECT {LOCAL} AS local, * FROM credit_path({metric}, {dimension}, {event}{options})")
}

fn event_sql(arguments: &ExplainArguments) -> String {
    format!(
        "SELECT {LOCAL} AS local, event_id, visitor_id, hit_time, row_kind, match_status, \
         source, {} AS value FROM events WHERE event_id = {} AND visitor_id IS NOT NULL LIMIT 1",
        quoted(&arguments.metric),
        literal(&arguments.event_id)
    )
}

async fn one_batch(engine: &Engine, sql: &str) -> Result<RecordBatch> {
    let batches = engine.collect(sql).await?;
    let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| Error::bug("a result without a batch"))?;
    Ok(concat_batches(&schema, &batches)?)
}

fn heading(arguments: &ExplainArguments, event: &RecordBatch) -> Result<Vec<String>> {
    let cell = |name: &str| -> Result<String> {
        let column = event.column_by_name(name).ok_or_else(|| Error::bug(format!("no column {name}")))?;
        let column = cast(column, &DataType::Utf8)?;
        let texts = column.as_string::<i32>();
        Ok(if texts.is_empty() || texts.is_null(0) { String::new() } else { texts.value(0).to_string() })
    };
    let numbers = event.column_by_name("value").map(|c| c.as_primitive::<Float64Type>().iter().flatten().next());
    let value = numbers.flatten().unwrap_or_default();
    let origin = match (cell("row_kind")?.as_str(), cell("source")?) {
        ("online", _) => "online".to_string(),
        (kind, source) => format!("{kind} record of {source}, {}", cell("match_status")?),
    };
    Ok(vec![
        format!("{value} {} of visitor {} on {}, {origin}", arguments.metric, cell("visitor_id")?, cell("local")?),
        format!(
            "by {}, container {}, lookback {}, basis {}{}",
            arguments.dimension,
            arguments.container.as_deref().unwrap_or("visitor"),
            arguments.lookback.as_deref().unwrap_or("30 days"),
            arguments.basis.as_deref().unwrap_or("event"),
            if arguments.inherited { ", inherited values are touches" } else { "" }
        ) + &arguments.filters.given().iter().map(|(name, value)| format!(", {name} {value}")).collect::<String>(),
    ])
}

/// The touches as people read them.
fn table(touches: &RecordBatch) -> Result<RecordBatch> {
    let numbers = |n: usize| touches.column(n).as_primitive::<Float64Type>();
    let before: StringArray = numbers(3).iter().map(|seconds| seconds.map(span)).collect();
    let row_kind = cast(touches.column(5), &DataType::Utf8)?;
    let place: StringArray = row_kind
        .as_string::<i32>()
        .iter()
        .map(|k| k.map(|k| if k == "online" { "online" } else { "offline" }))
        .collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("item".into(), touches.column(1).clone()),
        ("touched".into(), touches.column(0).clone()),
        ("before".into(), Arc::new(before)),
        ("visit".into(), touches.column(4).clone()),
        ("place".into(), Arc::new(place)),
    ];
    for n in BEFORE_MODELS..touches.num_columns() {
        let percent: StringArray = numbers(n).iter().map(|share| share.map(percent)).collect();
        columns.push((touches.schema().field(n).name().clone(), Arc::new(percent)));
    }
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))?)
}

/// `19 d 2 h`, `3 h 5 min`, `40 s`.
fn span(seconds: f64) -> String {
    let whole = seconds as i64;
    match (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", whole % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A share with at most two decimals.
fn percent(share: f64) -> String {
    format!("{} %", (share * 10_000.0).round() / 100.0)
}

fn rows(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>> {
    let columns = batch.schema();
    let cell = |n: usize, row: usize| -> Result<Value> {
        let column = batch.column(n);
        Ok(match column.data_type() {
            _ if column.is_null(row) => Value::Null,
            DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
            DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
            _ => json!(cast(column, &DataType::Utf8)?.as_string::<i32>().value(row)),
        })
    };
    let object =
        |row: usize| columns.fields().iter().enumerate().map(|(n, f)| Ok((f.name().clone(), cell(n, row)?))).collect();
    (0..batch.num_rows()).map(object).collect()
}

/// The models' shares in an object of their own.
fn nested(touch: &Map<String, Value>, touches: &RecordBatch) -> Value {
    let schema = touches.schema();
    let (own, models) = schema.fields()[1..].split_at(BEFORE_MODELS - 1);
    let part = |fields: &[Arc<arrow::datatypes::Field>]| -> Map<String, Value> {
        fields.iter().filter_map(|f| Some((f.name().clone(), touch.get(f.name())?.clone()))).collect()
    };
    let mut object = part(own);
    object.insert("shares".into(), Value::Object(part(models)));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_shares_for_people() {
        let spans: Vec<String> = [0.0, 40.5, 185.0, 11_100.0, 1_648_800.0].into_iter().map(span).collect();
        assert_eq!(spans, ["0 s", "40.5 s", "3 min 5 s", "3 h 5 min", "19 d 2 h"]);
        assert_eq!([percent(1.0 / 3.0), percent(1.0), percent(0.0)], ["33.33 %", "100 %", "0 %"]);
    }
}
