//! A file for people and other programs: a row a conversion, with its id and what is to be done: `new` adds it, `restated` puts it in
//! place of the former one of its id, `retracted` takes it away.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use csv::WriterBuilder;

use super::super::decide::SentConversion;
use super::super::definition::FILE_COLUMNS;
use crate::{Error, Result};

/// Fields that have their own place, or none.
const APART: [&str; 2] = ["currency", "phone_country"];

/// The line of names. Constants that are no column of their own come last.
pub fn header(columns: &[String], constants: &BTreeMap<String, String>) -> Result<String> {
    let constants = constants.keys().map(String::as_str).filter(|name| !APART.contains(name));
    line(FILE_COLUMNS.into_iter().chain(others(columns)).chain(constants))
}

/// A row.
pub fn row(columns: &[String], sent: &SentConversion) -> Result<String> {
    let time = DateTime::from_timestamp_micros(sent.time_us).unwrap_or_default();
    let (time, value) = (time.to_rfc3339_opts(SecondsFormat::Micros, true), sent.value.to_string());
    let fixed = [sent.id.as_str(), sent.action, &time, &value, &sent.currency];
    let own = others(columns).map(|name| sent.get(name).unwrap_or_default());
    let is_column = |name: &str| columns.iter().any(|column| column == name);
    let constants = sent.fields.iter().filter(|(name, _)| !APART.contains(&name.as_str()) && !is_column(name));
    line(fixed.into_iter().chain(own).chain(constants.map(|(_, text)| text.as_str())))
}

fn others(columns: &[String]) -> impl Iterator<Item = &str> {
    columns.iter().map(String::as_str).filter(|name| !APART.contains(name))
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::bug(format!("csv: {e}"));
    let mut writer = WriterBuilder::new().from_writer(vec![]);
    writer.write_record(cells).map_err(|e| failed(&e))?;
    let bytes = writer.into_inner().map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map_err(|e| failed(&e))
}
