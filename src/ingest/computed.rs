//! One value of a mapping: a SQL expression as text becomes the values of rows.
//!
//! In: the text, and the columns that it is over: those of a file, or the fields of a product line. Out: the values. It is
//! planned as a query is, so that it knows the same functions. A row for which it cannot be computed is bad, and not its file.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::ExprWithAlias;
use rejoin_instances::trees::change_parts_down;

use crate::engine::depth;
use crate::engine::dialect::EngineDialect;
use crate::error::library_words::{UnfitOperands, without_layers};
use crate::feed::row_issue::clip;
use crate::functions::register_all;
use crate::{Error, Result};

/// So much of an error of SQL is shown, which may hold a cell.
pub const MAX_SHOWN_BYTES: usize = 160;

/// What a value that no row has is taken for: a text.
pub const TEXT: DataType = DataType::Utf8;

/// Or an instant.
pub const INSTANT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// An expression that can be computed.
pub struct Computed {
    expression: Arc<dyn PhysicalExpr>,
    /// The type of its values.
    pub data_type: DataType,
}

impl Computed {
    /// Plans an expression over columns, which are given in both forms.
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

    /// Plans the first of several forms of an expression that can be computed, also where no value is there: some functions
    /// take no column of which no row has a value.
    ///
    /// # Errors
    /// That of the first form, where none can be planned.
    pub fn plan_first(
        state: &SessionState,
        forms: &[Expr],
        schema: &DFSchema,
        columns: &SchemaRef,
    ) -> Result<Self, DataFusionError> {
        let nothing = match columns.fields().iter().any(|field| has_nothing(field.data_type())) {
            true => Some(no_values(columns)?),
            false => None,
        };
        let mut best: Option<Result<Self, DataFusionError>> = None;
        for form in forms {
            let planned = Self::plan(state, form, schema, columns);
            let is_computed = |planned: &Self| nothing.as_ref().is_none_or(|row| planned.evaluate(row).is_ok());
            if planned.as_ref().is_ok_and(is_computed) {
                return planned;
            }
            if best.as_ref().is_none_or(|best| best.is_err() && planned.is_ok()) {
                best = Some(planned);
            }
        }
        best.unwrap_or_else(|| Err(DataFusionError::Plan("an expression without a form".into())))
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

/// What no row has is a value of this type that is not there, for functions that take nothing else.
pub fn missing_as(expression: Expr, columns: &DFSchema, data_type: &DataType) -> Result<Expr, DataFusionError> {
    let mut cast_missing = |e: Expr| {
        let is_missing = matches!(e, Expr::Column(_) | Expr::ScalarFunction(_))
            && e.get_type(columns).is_ok_and(|data_type| data_type.is_null());
        Ok(match is_missing {
            true => Transformed::new(cast(e, data_type.clone()), true, TreeNodeRecursion::Jump),
            false => Transformed::no(e),
        })
    };
    Ok(change_parts_down(expression, &mut cast_missing)?.data)
}

/// True where there is a part that no row has.
fn has_nothing(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_nothing(field.data_type())),
        DataType::List(item) => has_nothing(item.data_type()),
        _ => false,
    }
}

/// A row without values.
fn no_values(columns: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let fields = columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
    let values = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(schema, values, &options)?)
}

/// The expression as it is written; `x -> x['price']` is a lambda in it.
pub fn parsed(text: &str) -> Result<ExprWithAlias, DataFusionError> {
    depth::check(text)?;
    let dialect = EngineDialect::of_mapping(text);
    DFParserBuilder::new(text).with_dialect(&dialect).build()?.parse_into_expr()
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

/// The error beneath all others, without the names of kinds of errors before it.
pub fn root(error: &DataFusionError) -> String {
    let said = error.find_root().strip_backtrace();
    let said = without_layers(&said);
    // JSON of many systems has numbers as texts
    match UnfitOperands::of(error) {
        Some(UnfitOperands::Arithmetic(_)) => format!("{said}; CAST(column AS DOUBLE) makes a number of a text"),
        _ => said.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;

    #[test]
    fn a_chain_that_no_stack_holds_is_refused() {
        for link in [" = a", " + a", "[1]", "::text", " IS NULL", " OR a", " || a", ".a", " AT TIME ZONE 'UTC'", ":a"] {
            let refused = parsed(&format!("a{}", link.repeat(100_000))).unwrap_err();
            assert!(refused.to_string().contains("operators in a row"), "{link}: {refused}");
        }
    }

    #[test]
    fn what_no_row_has_is_no_value() {
        let inner = DataType::Struct(vec![Field::new("at", DataType::Null, true)].into());
        let columns = vec![Field::new("none", DataType::Null, true), Field::new("record", inner, true)];
        let columns = Arc::new(Schema::new(columns));
        let batch = no_values(&columns).unwrap();
        let (state, schema) = (session().state(), DFSchema::try_from(columns.as_ref().clone()).unwrap());
        for text in [
            "upper(none)",
            "none + 1",
            "date_part('year', none)",
            "date_trunc('day', record['at'])",
            "round(record['at'], 2)",
            "coalesce(none, record['at'])",
        ] {
            let logical = state.create_logical_expr_from_sql_expr(parsed(text).unwrap(), &schema).unwrap();
            let missing = |data_type: &DataType| missing_as(logical.clone(), &schema, data_type).unwrap();
            let forms = [logical.clone(), missing(&TEXT), missing(&INSTANT)];
            let planned = Computed::plan_first(&state, &forms, &schema, &columns).unwrap();
            let mut bad = vec![];
            let values = planned.values(&batch, &mut |_, why| bad.push(why)).unwrap();
            assert_eq!((values.len(), values.logical_null_count(), bad), (1, 1, vec![]), "{text}");
        }
    }

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
        // what is wrong, and not which layer found it
        let mut said = vec![];
        for text in ["to_timestamp(price, '%Y-%m-%d %H:%M')", "CAST(price AS INTERVAL)"] {
            planned(text).values(&batch, &mut |_, why| said.push(why)).unwrap();
        }
        assert!(!said.is_empty() && said.iter().all(|why| without_layers(why) == why), "{said:?}");
        // words for other functions, and functions of ours
        for text in ["coalesce(price, 'none')", "nvl(price, '0')", "parse_number(price, ',')"] {
            let values = planned(text).values(&batch, &mut |_, _| {}).unwrap();
            assert_eq!(values.len(), 3, "{text}");
        }
        assert_eq!(planned("price").values(&batch.slice(0, 0), &mut |_, _| {}).unwrap().len(), 0);
    }
}
