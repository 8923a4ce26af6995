//! One value of a mapping: a SQL expression as text becomes the values of rows.
//!
//! In: the text, and the columns that it is over: those of a file, or the fields of a product line. Out: the values. It is
//! planned as a query is, so that it knows the same functions. A row for which it cannot be computed is bad, and not its file.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::ExprWithAlias;

use crate::engine::dialect::EngineDialect;
use crate::feed::row_issue::clip;
use crate::functions::register_all;
use crate::{Error, Result};

/// So much of an error of SQL is told, which may hold a cell.
pub const MAX_SHOWN_BYTES: usize = 160;

/// An expression that can be computed.
pub struct Computed {
    expression: Arc<dyn PhysicalExpr>,
    /// The type of its values.
    pub data_type: DataType,
}

impl Computed {
    /// Plans an expression over columns, which are told in both forms.
    pub fn plan(
        state: &SessionState,
        expression: &Expr,
        schema: &DFSchema,
        columns: &SchemaRef,
    ) -> Result<Self, DataFusionError> {
        // as a query is planned: many functions are only words for others, which the simplifier puts in their place
        let simplifying = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(state.config_options().clone())
            .with_query_execution_start_time(Some(crate::clock::now()))
            .build();
        let simplifier = ExprSimplifier::new(simplifying);
        let coerced = simplifier.coerce(expression.clone(), schema)?;
        let expression = state.create_physical_expr(simplifier.simplify(coerced)?, schema)?;
        let data_type = expression.data_type(columns)?;
        Ok(Self { expression, data_type })
    }

    /// The values of all rows; NULL for those that have none, of which is said why.
    pub fn values(&self, batch: &RecordBatch, complain: &mut dyn FnMut(usize, String)) -> Result<ArrayRef> {
        match self.evaluate(batch) {
            Ok(values) => Ok(values),
            Err(_) => self.row_by_row(batch, complain),
        }
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        self.expression.evaluate(batch)?.into_array(batch.num_rows())
    }

    fn row_by_row(&self, batch: &RecordBatch, complain: &mut dyn FnMut(usize, String)) -> Result<ArrayRef> {
        let mut value = |row: usize| {
            self.evaluate(&batch.slice(row, 1)).unwrap_or_else(|error| {
                let why = root(&error);
                let why = clip(&why, MAX_SHOWN_BYTES);
                complain(row, format!("{why}; try_cast gives NULL for what does not fit"));
                new_null_array(&self.data_type, 1)
            })
        };
        let values: Vec<ArrayRef> = (0..batch.num_rows()).map(&mut value).collect();
        if values.is_empty() {
            return Ok(new_null_array(&self.data_type, 0));
        }
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        Ok(concat(&values)?)
    }
}

/// The expression as it is written; `x -> x['price']` is a lambda in it.
pub fn parsed(text: &str) -> Result<ExprWithAlias, DataFusionError> {
    DFParserBuilder::new(text).with_dialect(&EngineDialect { in_mapping: true }).build()?.parse_into_expr()
}

/// A session with our functions, in which names keep their case.
pub fn session() -> SessionContext {
    let config = SessionConfig::new().set_bool("datafusion.sql_parser.enable_ident_normalization", false);
    let context = SessionContext::new_with_config(config);
    let no_suite =
        || Err(Error::configuration("a mapping belongs to no suite; name the zone, as in local_time(t, 'UTC')"));
    register_all(&context, Arc::new(no_suite));
    context
}

/// The error beneath all others.
pub fn root(error: &DataFusionError) -> String {
    error.find_root().strip_backtrace()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::{Field, Float64Type, Schema};

    use super::*;

    #[test]
    fn a_bad_row_is_one_row() {
        let columns = Arc::new(Schema::new(vec![Field::new("price", DataType::Utf8, true)]));
        let prices = StringArray::from(vec![Some("1.5"), Some("a lot"), None]);
        let batch = RecordBatch::try_new(columns.clone(), vec![Arc::new(prices)]).unwrap();
        let context = session();
        let schema = DFSchema::try_from(columns.as_ref().clone()).unwrap();
        let planned = |text: &str| {
            let state = context.state();
            let logical = state.create_logical_expr_from_sql_expr(parsed(text).unwrap(), &schema).unwrap();
            Computed::plan(&state, &logical, &schema, &columns).unwrap()
        };
        let mut bad = vec![];
        let values = planned("CAST(price AS DOUBLE)").values(&batch, &mut |row, why| bad.push((row, why))).unwrap();
        let values = values.as_primitive::<Float64Type>().iter().collect::<Vec<_>>();
        assert_eq!(values, [Some(1.5), None, None]);
        assert!(matches!(bad.as_slice(), [(1, why)] if why.contains("try_cast")), "{bad:?}");
        // words for other functions, and functions of ours
        for text in ["coalesce(price, 'none')", "nvl(price, '0')", "parse_number(price, ',')"] {
            let values = planned(text).values(&batch, &mut |_, _| {}).unwrap();
            assert_eq!(values.len(), 3, "{text}");
        }
        assert_eq!(planned("price").values(&batch.slice(0, 0), &mut |_, _| {}).unwrap().len(), 0);
    }
}
