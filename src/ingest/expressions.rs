//! The values of a mapping, compiled against the columns of one file.
//!
//! In: a [`Mapping`] and a [`MappedFile`]. Out: the columns of the file that are needed, and one expression for each mapped
//! value. A value that is exactly a column's name is that column, as it stands in the file; everything else is SQL over the
//! columns, in which names keep their case and CSV columns that hold nothing but numbers are numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue, SchemaError};
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::mapped_file::MappedFile;
use super::mapping::Mapping;
use crate::columns::{CUSTOMER_ID, TRANSACTION_ID, VISITOR_ID};
use crate::error::did_you_mean;
use crate::{Error, Result};

/// What a mapped value is in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The visitor id.
    Visitor,
    /// The time.
    Time,
    /// The visit's number or name.
    Visit,
    /// The transaction ID.
    Transaction,
    /// The customer ID.
    Customer,
    /// A dimension of this name.
    Dimension(String),
    /// A metric of this name.
    Metric(String),
}

/// A mapping, ready for the batches of one file.
pub struct Expressions {
    /// Columns of the file that are read.
    pub columns: Vec<usize>,
    /// Mapped columns that no row of the file has (JSON lines leave out what is missing).
    pub absent: Vec<String>,
    compiled: Vec<Compiled>,
}

struct Compiled {
    place: Place,
    /// The key in the mapping, for messages.
    key: String,
    expression: Arc<dyn PhysicalExpr>,
    data_type: DataType,
}

/// One value of all rows of a batch.
pub struct Evaluated<'a> {
    /// What it is.
    pub place: &'a Place,
    /// The key in the mapping, for messages.
    pub key: &'a str,
    /// The values.
    pub values: ArrayRef,
}

impl Expressions {
    /// Compiles all values of the mapping. Errors name the key, and for an unknown column the nearest one.
    pub fn compile(mapping: &Mapping, file: &MappedFile) -> Result<Self> {
        let config = SessionConfig::new().set_bool("datafusion.sql_parser.enable_ident_normalization", false);
        let context = SessionContext::new_with_config(config);
        let all = DFSchema::try_from(file.schema.as_ref().clone())?;
        let mut absent = vec![];
        let mut logical = vec![];
        for (place, key, text) in values(mapping) {
            let at = |e: Error| e.at(format!("mapping {key} = {text:?}"));
            let expressions = if file.schema.index_of(text).is_ok() {
                let raw = Expr::Column(Column::from_name(text));
                // a visit is a number where all its cells are; everything else is taken as it is written
                if place == Place::Visit { vec![typed(raw, file)?] } else { vec![raw] }
            } else if file.may_lack_columns() && is_plain_name(text) && !matches!(place, Place::Time | Place::Visitor) {
                absent.push(text.to_string());
                vec![lit(ScalarValue::Utf8(None))]
            } else {
                let parsed = context.parse_sql_expr(text, &all).map_err(|e| at(unknown(&e, &file.schema)))?;
                vec![typed(parsed.clone(), file)?, parsed]
            };
            logical.push((place, key, text, expressions));
        }
        let used: BTreeSet<usize> = logical
            .iter()
            .flat_map(|(_, _, _, expressions)| expressions.iter().flat_map(Expr::column_refs))
            .filter_map(|column| file.schema.index_of(&column.name).ok())
            .collect();
        let columns: Vec<usize> = used.into_iter().collect();
        let read = Arc::new(file.schema.project(&columns)?);
        let schema = DFSchema::try_from(read.as_ref().clone())?;
        let mut compiled = vec![];
        for (place, key, text, expressions) in logical {
            // where SQL wants text of a column that holds numbers, its cells serve as they are
            let plan = |e: &Expr| physical(&context, e, &schema, &read);
            let (first, second) = (plan(&expressions[0]), expressions.get(1).map(plan));
            let planned = match (first, second) {
                (Err(_), Some(Ok(planned))) => Ok(planned),
                (first, _) => first,
            };
            let (expression, data_type) =
                planned.map_err(|e| unknown(&e, &file.schema).at(format!("mapping {key} = {text:?}")))?;
            compiled.push(Compiled { place, key, expression, data_type });
        }
        Ok(Self { columns, absent, compiled })
    }

    /// The type of the mapped value in this place.
    pub fn data_type(&self, place: &Place) -> Option<&DataType> {
        self.compiled.iter().find(|c| c.place == *place).map(|c| &c.data_type)
    }

    /// Evaluates everything over some rows.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<Evaluated<'_>>> {
        let one = |compiled: &'_ Compiled| -> Result<ArrayRef, DataFusionError> {
            compiled.expression.evaluate(batch)?.into_array(batch.num_rows())
        };
        let evaluate = |compiled| {
            let Compiled { place, key, .. }: &Compiled = compiled;
            let values = one(compiled).map_err(|e| {
                Error::refused(format!("mapping {key}: {}; try_cast gives NULL for what does not fit", root(&e)))
            })?;
            Ok(Evaluated { place, key, values })
        };
        self.compiled.iter().map(evaluate).collect()
    }
}

fn values(mapping: &Mapping) -> Vec<(Place, String, &str)> {
    let keys = [
        (Place::Time, "time", Some(&mapping.time)),
        (Place::Visitor, VISITOR_ID, mapping.visitor_id.as_ref()),
        (Place::Visit, "visit", mapping.visit.as_ref()),
        (Place::Transaction, TRANSACTION_ID, mapping.transaction_id.as_ref()),
        (Place::Customer, CUSTOMER_ID, mapping.customer_id.as_ref()),
    ];
    let keys = keys.into_iter().filter_map(|(place, key, text)| Some((place, key.to_string(), text?.as_str())));
    let dimensions = mapping.dimensions.iter();
    let dimensions =
        dimensions.map(|(n, text)| (Place::Dimension(n.clone()), format!("dimensions.{n}"), text.as_str()));
    let metrics = mapping.metrics.iter();
    let metrics = metrics.map(|(n, text)| (Place::Metric(n.clone()), format!("metrics.{n}"), text.as_str()));
    keys.chain(dimensions).chain(metrics).collect()
}

/// Columns of a CSV file that hold nothing but numbers become numbers in SQL.
fn typed(expression: Expr, file: &MappedFile) -> Result<Expr> {
    if file.numbers.iter().all(Option::is_none) {
        return Ok(expression);
    }
    let cast_column = |e: Expr| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        let index = file.schema.index_of(&column.name).ok();
        let number = index.and_then(|i| file.numbers.get(i)).cloned().flatten();
        Ok(number.map_or_else(|| Transformed::no(e.clone()), |number| Transformed::yes(cast(e.clone(), number))))
    };
    // from the leaves, so that what was put around a column is not looked at again
    Ok(expression.transform_up(cast_column)?.data)
}

fn physical(
    context: &SessionContext,
    expression: &Expr,
    schema: &DFSchema,
    columns: &SchemaRef,
) -> Result<(Arc<dyn PhysicalExpr>, DataType), DataFusionError> {
    let expression = context.create_physical_expr(expression.clone(), schema)?;
    let data_type = expression.data_type(columns)?;
    Ok((expression, data_type))
}

fn is_plain_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn unknown(error: &DataFusionError, schema: &Schema) -> Error {
    if let DataFusionError::SchemaError(e, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, .. } = e.as_ref()
    {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let hint = did_you_mean(&field.name, names.iter().copied());
        let some = names.iter().take(30).copied().collect::<Vec<_>>().join(", ");
        return Error::refused(format!("the file has no column {}{hint} (it has {some})", field.name));
    }
    Error::refused(root(error))
}

fn root(error: &DataFusionError) -> String {
    error.find_root().strip_backtrace()
}
