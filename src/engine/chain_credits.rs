//! `credits` of models that are chains of all journeys: in SQL over `credits` of other models, which finds conversions and what they
//! touched, and over the weights of all items.
//!
//! A chain has one weight for each item. Each conversion with a touch gives each item its weight; what it did not touch are
//! rows without touches. Where no item has a weight, and of conversions without a touch, all is the item NULL's.

use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{Statement as Sql, TableFactor};

use super::arguments::Arguments;
use super::dialect::EngineDialect;
use super::groupings::listed;
use super::model_list::split_outside_parentheses;
use crate::attribution::Model;
use crate::quote::{literal, quoted};
use crate::{Error, Result};

/// Models whose columns have their names, and of which one leaves out no touch.
const TOUCHED: [&str; 2] = ["participation", "linear"];

/// What `credits` says of a conversion, and of its touches of an item.
const CONVERSION: [&str; 4] = ["event_id", "time", "row_kind", "value"];
const TOUCHES: [&str; 5] = ["touches", "first_touch_id", "first_touch_time", "last_touch_id", "last_touch_time"];

/// The call as a relation, where one of its models is a chain; None for others.
pub(super) fn relation(arguments: &Arguments) -> Result<Option<TableFactor>> {
    let asked: Vec<String> = match arguments.text("models")? {
        Some(list) => split_outside_parentheses(&list).into_iter().map(str::to_string).collect(),
        None => arguments.text("model")?.into_iter().collect(),
    };
    let is_chain = |model: &&String| matches!(model.parse::<Model>(), Ok(Model::Markov { .. }));
    match asked.iter().any(|model| is_chain(&model)) {
        false => Ok(None),
        true => parsed(&in_sql(arguments, &asked, is_chain)?).map(Some),
    }
}

fn in_sql(arguments: &Arguments, asked: &[String], is_chain: impl Fn(&&String) -> bool) -> Result<String> {
    let by = arguments.text("by")?.map_or(Ok(vec![]), |text| listed(&text)).map_err(|e| e.at("by"))?;
    let (chains, mut others): (Vec<String>, Vec<String>) = asked.iter().cloned().partition(|model| is_chain(&model));
    others.extend(TOUCHED.iter().filter(|touched| !asked.iter().any(|model| model == *touched)).map(|s| s.to_string()));
    let given = |models: &[String], left_out: &[&str]| -> Result<String> {
        let given = arguments.in_sql(&[&["model", "models"], left_out].concat())?;
        Ok(format!("{given}, models => {}", literal(&models.join(","))))
    };
    let of_conversion: Vec<String> = by.iter().map(String::as_str).chain(CONVERSION).map(quoted).collect();
    let weight = |chain: &String| {
        let chain = quoted(chain);
        let sum = format!("coalesce(sum(CASE WHEN item IS NOT NULL THEN {chain} END) OVER (), 0)");
        format!(
            "CASE WHEN item IS NULL THEN CASE WHEN {sum} = 0 THEN 1.0 ELSE 0.0 END ELSE coalesce({chain} / nullif({sum}, 0), 0) END AS {chain}"
        )
    };
    let weights: Vec<String> = chains.iter().map(weight).collect();
    let share = |model: &String| match is_chain(&model) {
        true => {
            let weight = quoted(model);
            format!(
                "CASE WHEN given.event_id IS NOT NULL THEN given.{weight} WHEN found.item IS NULL THEN 1 ELSE 0 END"
            )
        }
        false => format!("coalesce(found.{}, 0)", quoted(&format!("share_{model}"))),
    };
    let shares: Vec<String> = asked.iter().map(share).collect();
    let some: Vec<String> = shares.iter().map(|share| format!("{share} <> 0")).collect();
    let shown = asked.iter().zip(&shares).flat_map(|(model, share)| {
        let of = |what: &str| quoted(&if asked.len() == 1 { what.to_string() } else { format!("{what}_{model}") });
        let value = "coalesce(found.value, given.value)";
        [
            format!("CAST({share} AS DOUBLE) AS {}", of("share")),
            format!("CAST({value} * {share} AS DOUBLE) AS {}", of("credit")),
        ]
    });
    let conversion = of_conversion.iter().map(|column| format!("coalesce(found.{column}, given.{column}) AS {column}"));
    let item = ["coalesce(found.item, given.item) AS item".to_string(), "coalesce(found.touches, 0) AS touches".into()];
    let touches = TOUCHES[1..].iter().map(|column| format!("found.{column}"));
    let columns: Vec<String> = conversion.chain(item).chain(touches).chain(shown).collect();
    Ok(format!(
        "WITH found AS (SELECT * FROM credits({found})),
            weights AS (SELECT item, {weights} FROM attribution({weighed}, counted => true)),
            given AS (SELECT * FROM (SELECT DISTINCT {of_conversion} FROM found WHERE item IS NOT NULL) c CROSS JOIN weights)
        SELECT {columns} FROM found FULL JOIN given ON given.event_id = found.event_id AND given.item = found.item WHERE {some}",
        found = given(&others, &[])?,
        weights = weights.join(", "),
        weighed = given(&chains, &["by", "counted"])?,
        of_conversion = of_conversion.join(", "),
        columns = columns.join(", "),
        some = some.join(" OR "),
    ))
}

fn parsed(sql: &str) -> Result<TableFactor> {
    let dialect = EngineDialect::new(sql);
    let statement = DFParserBuilder::new(sql).with_dialect(&dialect).build().and_then(|mut p| p.parse_statement());
    match statement.map_err(|e| Error::bug(format!("credits in SQL: {e}")))? {
        Parsed::Statement(statement) => match *statement {
            Sql::Query(subquery) => Ok(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None }),
            _ => Err(Error::bug("credits in SQL are no query")),
        },
        _ => Err(Error::bug("credits in SQL are no statement")),
    }
}
