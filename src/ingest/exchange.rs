//! Amounts in other currencies become amounts in the suite's, by the rate of their day.
//!
//! In: the table `[currency]` of a mapping, and the lookup table with the rates. Out: the rate of each row of a batch. An
//! amount without a rate is none, and a warning names its currency and day: it is never added up as it stands.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use serde::Serialize;
use toml::{Table, Value};

use super::cells::Instant;
use super::delimited::names;
use crate::engine::{Engine, EngineSettings};
use crate::error::did_you_mean;
use crate::feed::{RowIssue, number};
use crate::lake::Lake;
use crate::lake::records::Suite;
use crate::quote::quoted;
use crate::time::{to_local, zone};
use crate::{Error, Result};

/// What a mapping says of currencies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Currency {
    /// The currency of a row, three letters: a column or a SQL expression.
    pub code: String,
    /// The lookup table with the rates.
    pub rates: String,
    /// The metrics that are amounts; of product lines, prices always are.
    pub metrics: Vec<String>,
}

const KEYS: [&str; 3] = ["code", "rates", "metrics"];

impl Currency {
    /// Takes the table `[currency]` out of a mapping.
    pub fn take(table: &mut Table) -> Result<Option<Self>> {
        let Some(value) = table.remove("currency") else { return Ok(None) };
        let Value::Table(mut own) = value else { return Err(wrong("currency is no table; write [currency]")) };
        if let Some(unknown) = own.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = did_you_mean(unknown, KEYS);
            return Err(wrong(format!("currency: unknown key {unknown}{hint} (known: {})", KEYS.join(", "))));
        }
        let mut text = |key: &str| match own.remove(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(wrong(format!("currency.{key}: give a text"))),
            None => Err(wrong(format!("currency.{key} is missing"))),
        };
        let (code, rates) = (text("code")?, text("rates")?);
        let metrics = names(&mut own, "metrics")?.unwrap_or_else(|| vec!["revenue".into()]);
        Ok(Some(Self { code, rates, metrics }))
    }
}

/// The rates of a lookup table, into the currency of a suite.
#[derive(Debug)]
pub struct Rates {
    table: String,
    base: String,
    /// Of the days.
    zone: Tz,
    /// By currency and day.
    rates: HashMap<String, HashMap<NaiveDate, f64>>,
}

impl Rates {
    /// Reads a table whose first column holds a currency and a day (`GBP 2026-09-01`) and whose column `rate` says what one
    /// of it was worth in the suite's currency.
    pub async fn read(lake: &Lake, table: &str, suite: &Suite) -> Result<Self> {
        let at = |e: Error| e.at(format!("mapping currency.rates = {table:?}"));
        let engine = Engine::open(lake.clone(), EngineSettings::default()).await?;
        let columns = engine.columns(table).await.map_err(at)?;
        let (key, rate) = (columns.fields().first(), columns.field_with_name("rate"));
        let (Some(key), Ok(rate)) = (key, rate) else {
            return Err(at(wrong("the table has no column rate; load rates with `rejoin lookup`")));
        };
        let [key, rate] = [key.name(), rate.name()].map(|name| quoted(name));
        let sql = format!("SELECT CAST({key} AS VARCHAR), CAST({rate} AS VARCHAR) FROM {table}");
        let mut rates: HashMap<String, HashMap<NaiveDate, f64>> = HashMap::new();
        for batch in engine.collect(&sql).await.map_err(at)? {
            let [keys, values] = [0, 1].map(|n| cast(batch.column(n), &DataType::Utf8));
            let (keys, values) = (keys?, values?);
            for (key, value) in keys.as_string::<i32>().iter().zip(values.as_string::<i32>()) {
                let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
                let (code, day) = currency_day(key)
                    .ok_or_else(|| at(wrong(format!("{key:?} is no currency and day; write it as GBP 2026-09-01"))))?;
                let rate = number::parse(value.trim()).filter(|rate| *rate > 0.0);
                let rate = rate.ok_or_else(|| at(wrong(format!("{key}: {value:?} is no rate"))))?;
                rates.entry(code).or_default().insert(day, rate);
            }
        }
        let zone = zone(&suite.time_zone).map_err(Error::configuration)?;
        Ok(Self { table: table.into(), base: suite.currency.to_uppercase(), zone, rates })
    }

    /// The rates of rows of these currencies and times.
    pub fn of_rows(&self, codes: &StringArray, times: &[Instant]) -> RowRates<'_> {
        let rate = |(row, time): (usize, &Instant)| {
            let code = codes.is_valid(row).then(|| codes.value(row).trim())?;
            if code.eq_ignore_ascii_case(&self.base) {
                return Some(1.0);
            }
            let days = self.rates.get(code).or_else(|| self.rates.get(&code.to_uppercase()))?;
            days.get(&self.day(time)?).copied()
        };
        let rates: Vec<Option<f64>> = times.iter().enumerate().map(rate).collect();
        RowRates { of: self, lost: vec![false; rates.len()], rates }
    }

    /// The day of a time where the suite is.
    fn day(&self, time: &Instant) -> Option<NaiveDate> {
        match time {
            Instant::Day(day) => Some(*day),
            Instant::At(micros) => {
                to_local(*micros, self.zone).and_then(DateTime::from_timestamp_micros).map(|local| local.date_naive())
            }
            Instant::Missing => None,
        }
    }
}

/// The rates of some rows, and which of those without one have an amount.
pub struct RowRates<'r> {
    of: &'r Rates,
    rates: Vec<Option<f64>>,
    lost: Vec<bool>,
}

impl RowRates<'_> {
    /// An amount of a row in the suite's currency; none where there is no rate.
    pub fn exchange(&mut self, row: usize, amount: f64) -> Option<f64> {
        match self.rates[row] {
            Some(rate) => Some(amount * rate),
            // nothing is nothing in every currency
            None if amount == 0.0 => Some(0.0),
            None => {
                self.lost[row] = true;
                None
            }
        }
    }

    /// A metric of the rows.
    pub fn exchange_all(&mut self, amounts: &Float64Array) -> Float64Array {
        amounts.iter().enumerate().map(|(row, amount)| self.exchange(row, amount?)).collect()
    }

    /// Which rows have an amount that has no rate.
    pub fn into_lost(self) -> Vec<bool> {
        self.lost
    }

    /// What is to be said of rows with an amount that has no rate; `lines` are theirs.
    pub fn warnings(&self, codes: &StringArray, times: &[Instant], lines: &[u64]) -> Vec<RowIssue> {
        let lost = (0..self.lost.len()).filter(|row| self.lost[*row]);
        let warning = |row: usize| {
            let reason = match (codes.is_valid(row), self.of.day(&times[row])) {
                (true, Some(day)) => {
                    format!(
                        "{} has no rate of {} for {day}; the amount is none",
                        self.of.table,
                        codes.value(row).trim()
                    )
                }
                _ => "an amount without a currency; it is none".to_string(),
            };
            RowIssue::new(lines[row], "currency.code", reason, "")
        };
        lost.map(warning).collect()
    }
}

/// `GBP 2026-09-01`.
fn currency_day(text: &str) -> Option<(String, NaiveDate)> {
    let (code, day) = text.trim().split_once(' ')?;
    let is_code = code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic());
    let day = NaiveDate::parse_from_str(day.trim(), "%Y-%m-%d").ok()?;
    is_code.then(|| (code.to_ascii_uppercase(), day))
}

fn wrong(message: impl Into<String>) -> Error {
    Error::configuration(message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn amounts_have_the_rate_of_their_day() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 9, day).unwrap();
        let rates = Rates {
            table: "rates".into(),
            base: "EUR".into(),
            zone: chrono_tz::Europe::Berlin,
            rates: [("GBP".into(), [(day(1), 1.25), (day(2), 1.5)].into())].into(),
        };
        let codes =
            StringArray::from(vec![Some("eur"), Some("gbp "), Some("GBP"), Some("GBP"), Some("JPY"), None, None]);
        let late = day(1).and_hms_opt(23, 30, 0).unwrap().and_utc().timestamp_micros();
        let times = [
            Instant::Day(day(1)),
            Instant::Day(day(1)),
            Instant::At(late),
            Instant::Day(day(3)),
            Instant::At(late),
            Instant::Day(day(1)),
            Instant::Day(day(1)),
        ];
        let mut rows = rates.of_rows(&codes, &times);
        let amounts =
            Float64Array::from(vec![Some(2.0), Some(2.0), Some(2.0), Some(2.0), Some(2.0), Some(0.0), Some(2.0)]);
        let exchanged: Vec<Option<f64>> = rows.exchange_all(&amounts).iter().collect();
        assert_eq!(exchanged, [Some(2.0), Some(2.5), Some(3.0), None, None, Some(0.0), None]);
        let told: Vec<_> =
            rows.warnings(&codes, &times, &[1, 2, 3, 4, 5, 6, 7]).into_iter().map(|w| (w.line, w.reason)).collect();
        assert_eq!(told.iter().map(|w| w.0).collect::<Vec<_>>(), [4, 5, 7]);
        assert_eq!(told[0].1, "rates has no rate of GBP for 2026-09-03; the amount is none");
        // where the suite is, it was the next day
        assert_eq!(told[1].1, "rates has no rate of JPY for 2026-09-02; the amount is none");
        assert_eq!(currency_day("GBPX 2026-09-01").or(currency_day("GBP 1.9.2026")), None);
    }
}
