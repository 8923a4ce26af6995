//! Casts of times, intervals, lists and doubles to texts, which have Postgres' words: `2026-01-31 12:00:00`, `{1,2}`, `100`. Arrow's are
//! `2026-01-31T12:00:00`, `[1, 2]` and `100.0`. What others compute keeps Arrow's, since they do not know this function.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;
use rejoin_instances::trees::{change_named_expressions, change_nodes, change_parts};

use super::encode::texts;
use crate::time::Zone;

/// One for all plans: two calls with the same arguments are the same.
static TEXT: LazyLock<ScalarUDF> = LazyLock::new(|| {
    // the session's zone is no constant
    ScalarUDF::new_from_impl(PostgresText { signature: Signature::any(1, Volatility::Stable) })
});

/// Writes what is cast to a text in Postgres' words.
#[derive(Debug)]
pub struct TextCasts;

impl AnalyzerRule for TextCasts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let written = change_nodes(plan, &mut |node| {
            let columns = merge_schema(&node.inputs());
            change_named_expressions(node, &mut |expr| {
                change_parts(expr, &mut |expr| {
                    Ok(match &expr {
                        Expr::Cast(Cast { expr: inner, field })
                            if is_text(field.data_type())
                                && inner.get_type(&columns).is_ok_and(|data_type| differs(&data_type)) =>
                        {
                            let text = TEXT.call(vec![inner.as_ref().clone()]);
                            Transformed::yes(match field.data_type() {
                                DataType::Utf8 => text,
                                other => cast(text, other.clone()),
                            })
                        }
                        _ => Transformed::no(expr),
                    })
                })
            })
        })?;
        Ok(written.data)
    }

    fn name(&self) -> &str {
        "text_casts"
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// True for types whose texts Postgres writes in another way.
fn differs(data_type: &DataType) -> bool {
    use DataType::{Duration, FixedSizeList, Float32, Float64, Interval, LargeList, List, Time64, Timestamp};
    let is_list = matches!(data_type, List(_) | LargeList(_) | FixedSizeList(..));
    is_list || matches!(data_type, Timestamp(..) | Time64(_) | Interval(_) | Duration(_) | Float32 | Float64)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PostgresText {
    signature: Signature,
}

impl ScalarUDFImpl for PostgresText {
    fn name(&self) -> &str {
        "postgres_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    // as a cast has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = args.config_options.execution.time_zone.as_deref().and_then(|zone| Zone::of_type(zone).ok());
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(values) = arrays.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let texts = texts(values, zone.unwrap_or(Zone::UTC))?;
        Ok(match args.args.as_slice() {
            [ColumnarValue::Scalar(_)] => ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?),
            _ => ColumnarValue::Array(Arc::new(texts)),
        })
    }
}
