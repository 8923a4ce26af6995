//! Small tables of a catalog: columns by name and type, rows of cells.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, ListBuilder,
    RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;
use datafusion_pg_catalog::pg_catalog::oid_field::oid_field;
use pgwire::api::Type;

use crate::columns::timestamp;
use crate::serve::postgres::types::list_field;

/// Types of a catalog's columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// An object's number.
    Oid,
    /// A function's number, written as its name.
    Regproc,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Time,
    Oids,
    OidVector,
    Int2s,
    Int2Vector,
    Texts,
}

/// Columns of a table.
pub type Layout = &'static [(&'static str, Kind)];

/// One value.
#[derive(Debug, Clone)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Cell::Int(value.into())
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Cell::Int(value as i64)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Text(value.to_string())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell::Text(value)
    }
}

impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Cell::Text(value.clone())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// One row: each value in its own words.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::serve::postgres::catalog::grid::Cell::from($value)),*] };
}
pub(super) use row;

/// The columns as Arrow has them.
pub fn schema(layout: Layout) -> SchemaRef {
    let field = |(name, kind): &(&str, Kind)| match kind {
        Kind::Oid => oid_field(*name, "oid", true),
        Kind::Regproc => oid_field(*name, "regproc", true),
        Kind::Bool => Field::new(*name, DataType::Boolean, true),
        Kind::Int2 => Field::new(*name, DataType::Int16, true),
        Kind::Int4 => Field::new(*name, DataType::Int32, true),
        Kind::Int8 => Field::new(*name, DataType::Int64, true),
        Kind::Float4 => Field::new(*name, DataType::Float32, true),
        Kind::Float8 => Field::new(*name, DataType::Float64, true),
        Kind::Text => Field::new(*name, DataType::Utf8, true),
        Kind::Time => Field::new(*name, timestamp(), true),
        Kind::Oids => list_field(name, &Type::OID_ARRAY),
        Kind::OidVector => list_field(name, &Type::OID_VECTOR),
        Kind::Int2s => list_field(name, &Type::INT2_ARRAY),
        Kind::Int2Vector => list_field(name, &Type::INT2_VECTOR),
        Kind::Texts => list_field(name, &Type::TEXT_ARRAY),
    };
    Arc::new(Schema::new(layout.iter().map(field).collect::<Vec<_>>()))
}

/// A table of rows. A row that is short has NULL in its last columns, and so has one whose value is of another kind.
pub fn table(layout: Layout, rows: Vec<Vec<Cell>>) -> Result<Arc<dyn TableProvider>> {
    let schema = schema(layout);
    let column = |(i, (_, kind)): (usize, &(&str, Kind))| -> ArrayRef {
        let cells = rows.iter().map(|row| row.get(i).unwrap_or(&Cell::Null));
        let ints = || cells.clone().map(|cell| if let Cell::Int(value) = cell { Some(*value) } else { None });
        macro_rules! filled {
            ($builder:ty, $values:expr) => {{
                let mut builder = <$builder>::new();
                $values.for_each(|value| builder.append_option(value));
                Arc::new(builder.finish())
            }};
        }
        match kind {
            Kind::Oid | Kind::Regproc | Kind::Int4 => filled!(Int32Builder, ints().map(|v| v.map(|v| v as i32))),
            Kind::Int2 => filled!(Int16Builder, ints().map(|v| v.map(|v| v as i16))),
            Kind::Int8 => filled!(Int64Builder, ints()),
            Kind::Float4 => filled!(Float32Builder, ints().map(|v| v.map(|v| v as f32))),
            Kind::Float8 => filled!(Float64Builder, ints().map(|v| v.map(|v| v as f64))),
            Kind::Bool => filled!(
                BooleanBuilder,
                cells.clone().map(|cell| if let Cell::Bool(value) = cell { Some(*value) } else { None })
            ),
            Kind::Text => filled!(
                StringBuilder,
                cells.clone().map(|cell| if let Cell::Text(value) = cell { Some(value.as_str()) } else { None })
            ),
            Kind::Time => {
                let mut builder = TimestampMicrosecondBuilder::new().with_data_type(timestamp());
                ints().for_each(|value| builder.append_option(value));
                Arc::new(builder.finish())
            }
            Kind::Oids | Kind::OidVector => nulls(ListBuilder::new(Int32Builder::new()), rows.len()),
            Kind::Int2s | Kind::Int2Vector => nulls(ListBuilder::new(Int16Builder::new()), rows.len()),
            Kind::Texts => nulls(ListBuilder::new(StringBuilder::new()), rows.len()),
        }
    };
    let columns = layout.iter().enumerate().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn nulls<B: arrow::array::ArrayBuilder>(mut builder: ListBuilder<B>, count: usize) -> ArrayRef {
    (0..count).for_each(|_| builder.append(false));
    Arc::new(builder.finish())
}
