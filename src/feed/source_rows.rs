//! The rules of an offline record, and the rows that keep them.
//!
//! In: the fields of one record after the other, of whichever format. Out: a batch (`row`, `record_local`, `has_time`,
//! then the file's own columns in its order, IDs before dimensions before metrics) and what was rejected.
//! `record_local` is the suite's wall clock, whatever its type says.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Builder, Int64Array, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::NaiveDateTime;

use super::source_columns::{SourceColumn, SourceKind};
use super::{Decoded, RowIssue, number, record_time};
use crate::columns;

/// Longest record that Adobe takes.
pub const MAX_ROW_BYTES: usize = 4096;

/// Collects records of one data source.
#[derive(Debug)]
pub struct SourceRows {
    columns: Vec<SourceColumn>,
    schema: SchemaRef,
    /// Fields in the order of the schema's columns after the first three.
    order: Vec<usize>,
    now_local: NaiveDateTime,
    rows: Vec<i64>,
    times: Vec<i64>,
    has_time: Vec<bool>,
    texts: Vec<StringBuilder>,
    metrics: Vec<Float64Builder>,
    amounts: Vec<Option<f64>>,
    issues: Vec<RowIssue>,
    warnings: Vec<RowIssue>,
}

impl SourceRows {
    /// No records yet; `now_local` is the present on the suite's wall clock.
    pub fn new(columns: Vec<SourceColumn>, now_local: NaiveDateTime) -> Self {
        let mut order: Vec<usize> = (0..columns.len()).filter(|c| columns[*c].kind != SourceKind::Date).collect();
        order.sort_by_key(|column| match columns[*column].kind {
            SourceKind::Date | SourceKind::TransactionId => 0,
            SourceKind::CustomerId => 1,
            SourceKind::Dimension => 2,
            SourceKind::Metric => 3,
        });
        let keys = ["row", "record_local", "has_time"];
        let keys = keys.map(|name| columns::key_field(name).expect("the columns' list has these keys"));
        let fields: Vec<_> = keys.into_iter().chain(order.iter().map(|column| columns[*column].field())).collect();
        let metrics = columns.iter().filter(|column| column.kind == SourceKind::Metric).count();
        let builders = |count| std::iter::repeat_with(StringBuilder::new).take(count).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            now_local,
            rows: Vec::new(),
            times: Vec::new(),
            has_time: Vec::new(),
            texts: builders(order.len() - metrics),
            metrics: std::iter::repeat_with(Float64Builder::new).take(metrics).collect(),
            amounts: Vec::new(),
            issues: Vec::new(),
            warnings: Vec::new(),
            order,
            columns,
        }
    }

    /// The file's columns, in its order.
    pub fn columns(&self) -> &[SourceColumn] {
        &self.columns
    }

    /// The schema of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Records that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.rows.len() + self.issues.len()
    }

    /// Takes or rejects a record. `row` is its line or number, `raw` what an issue shows of it.
    pub fn push(&mut self, row: u64, fields: &[Cow<'_, str>], raw: &str) {
        match self.check(fields) {
            Ok(time) => self.append(row, fields, time),
            Err((column, reason)) => self.reject(row, &column, reason, raw),
        }
    }

    /// Rejects a record that could not be taken apart.
    pub fn reject(&mut self, row: u64, column: &str, reason: impl Into<String>, raw: &str) {
        self.issues.push(RowIssue::new(row, column, reason, raw));
    }

    /// Notes what was changed of a record that is taken all the same.
    pub fn warn(&mut self, row: u64, column: &str, reason: impl Into<String>) {
        self.warnings.push(RowIssue::new(row, column, reason, ""));
    }

    /// Gives out what was collected.
    pub fn take(&mut self) -> Decoded {
        let times = TimestampMicrosecondArray::from(std::mem::take(&mut self.times));
        let times = times.with_data_type(self.schema.field(1).data_type().clone());
        let keys: [ArrayRef; 3] = [
            Arc::new(Int64Array::from(std::mem::take(&mut self.rows))),
            Arc::new(times),
            Arc::new(BooleanArray::from(std::mem::take(&mut self.has_time))),
        ];
        let texts = self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let metrics = self.metrics.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let arrays = keys.into_iter().chain(texts).chain(metrics).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays);
        Decoded {
            batch: batch.expect("each array was made for its field, all of one length"),
            issues: std::mem::take(&mut self.issues),
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    /// Checks a record against all rules and leaves its metrics in `amounts`.
    fn check(&mut self, fields: &[Cow<'_, str>]) -> Result<record_time::RecordTime, (String, String)> {
        let whole = |reason: String| Err((String::new(), reason));
        if fields.len() != self.columns.len() {
            return whole(format!("{} fields, expected {} as in the header line", fields.len(), self.columns.len()));
        }
        let (mut has_dimension, mut has_metric, mut time) = (false, false, None);
        self.amounts.clear();
        for (field, column) in fields.iter().zip(&self.columns) {
            let bad = |reason: &str| Err((column.header.clone(), reason.to_owned()));
            if field.contains('\0') {
                return bad("holds a NUL byte");
            }
            match column.kind {
                SourceKind::Date => match record_time::parse(field) {
                    Ok(at) if at.is_after_tomorrow(self.now_local) => {
                        return bad(&format!("{field} is more than a day in the future"));
                    }
                    Ok(at) => time = Some(at),
                    Err(reason) => return bad(&reason),
                },
                SourceKind::Dimension if field.contains(';') => {
                    return bad("holds a semicolon, which Adobe does not take");
                }
                SourceKind::Dimension | SourceKind::TransactionId | SourceKind::CustomerId => {
                    has_dimension |= !field.is_empty();
                }
                SourceKind::Metric => {
                    let text = field.trim();
                    let amount = number::parse(text);
                    if amount.is_none() && !text.is_empty() {
                        return bad(&number::why_not(text));
                    }
                    has_metric |= amount.is_some();
                    self.amounts.push(amount);
                }
            }
        }
        if !has_dimension {
            return whole("no dimension; a record needs one, or a transactionID or VisitorID".to_owned());
        }
        if !has_metric {
            return whole("no metric; a record needs one (0 is one, a blank is none)".to_owned());
        }
        time.ok_or_else(|| (String::new(), "no date".to_owned()))
    }

    fn append(&mut self, row: u64, fields: &[Cow<'_, str>], time: record_time::RecordTime) {
        self.rows.push(i64::try_from(row).unwrap_or(i64::MAX));
        self.times.push(time.local.and_utc().timestamp_micros());
        self.has_time.push(time.has_time);
        for (builder, column) in self.texts.iter_mut().zip(&self.order) {
            builder.append_option(Some(&fields[*column]).filter(|value| !value.is_empty()));
        }
        // Metrics stand last in the order and keep that of the file among themselves.
        for (builder, amount) in self.metrics.iter_mut().zip(&self.amounts) {
            builder.append_option(*amount);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    use chrono::NaiveDate;

    use super::super::source_columns::parse_headers;
    use super::*;

    fn decode(headers: &str, rows: &[&str]) -> Decoded {
        let columns = parse_headers(&headers.split('\t').collect::<Vec<_>>(), "", None).unwrap();
        let now = NaiveDate::from_ymd_opt(2026, 1, 10).unwrap().and_hms_opt(10, 0, 0).unwrap();
        let mut all = SourceRows::new(columns, now);
        for (row, number) in rows.iter().zip(1..) {
            all.push(number, &row.split('\t').map(Cow::Borrowed).collect::<Vec<_>>(), row);
        }
        assert_eq!(all.waiting(), rows.len());
        let decoded = all.take();
        assert_eq!(decoded.records(), rows.len() as u64);
        assert_eq!(all.waiting(), 0);
        decoded
    }

    #[test]
    fn columns_in_order() {
        let decoded =
            decode("Date\tPrice\tEvar 1\tVisitorID\tEvent 1\ttransactionID\tZip", &["1/2/2025\t-5\tx\tc\t\tL1\t"]);
        let names: Vec<_> = decoded.batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        let expected =
            ["row", "record_local", "has_time", "transaction_id", "customer_id", "evar1", "zip", "revenue", "event1"];
        assert_eq!(names, expected);
        let cell = |name: &str| {
            let column = decoded.batch.column_by_name(name).unwrap();
            arrow::util::display::array_value_to_string(column, 0).unwrap()
        };
        let cells: Vec<_> = names.iter().filter(|name| *name != "record_local").map(|name| cell(name)).collect();
        let noon = decoded.batch.column(1).as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!(noon, 1_735_819_200_000_000);
        assert_eq!(cells, ["1", "false", "L1", "c", "x", "", "-5.0", ""]);
    }

    #[test]
    fn rules() {
        let headers = "Date\tEvar 1\ttransactionID\tPrice\tEvent 1";
        let good = ["1/2/2025\tx\t\t0\t", "1/2/2025/8/0/0\t\tL;1\t\t -2 ", "1/11/2026\tx\t\t1e3\t"];
        assert_eq!(decode(headers, &good).issues, []);
        for (row, column, reason) in [
            ("1/2/2025\tx\t\t0", "", "4 fields, expected 5"),
            ("1/2/2025\tx\t\t0\t\t", "", "6 fields, expected 5"),
            ("1/2/2025\ta;b\t\t0\t", "Evar 1", "semicolon"),
            ("1/2/2025\t\t\t0\t", "", "no dimension"),
            ("1/2/2025\tx\t\t\t ", "", "no metric"),
            ("31/12/2025\tx\t\t0\t", "Date", "month/day/year"),
            ("\tx\t\t0\t", "Date", "is no date"),
            ("1/12/2026\tx\t\t0\t", "Date", "more than a day in the future"),
            ("1/2/2025\tx\t\t1,5\t", "Price", "decimal sign as a point"),
            ("1/2/2025\tx\t\t0\tinf", "Event 1", "\"inf\" is no number"),
            ("1/2/2025\tx\t\t0\tNaN", "Event 1", "is no number"),
            ("1/2/2025\tx\0\t\t0\t1", "Evar 1", "NUL"),
        ] {
            let decoded = decode(headers, &[row]);
            let issue = &decoded.issues[0];
            assert_eq!((issue.column.as_str(), issue.text.as_str()), (column, row));
            assert!(issue.reason.contains(reason), "{row}: {}", issue.reason);
        }
    }
}
