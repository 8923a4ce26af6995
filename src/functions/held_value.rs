//! `held_value(value, dimension, amounts)`: what a snapshot gives a record of a dimension: the value, but of `product_list` the
//! lines in the proportion of the record's own amounts (`revenue=-69|units=-5`); nothing where those are NULL, for the record
//! brought products of its own.

use std::fmt::Write;

use arrow::array::{Array, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::function_doc::FunctionDoc;
use super::rows::evaluate;
use crate::columns::PRODUCT_LIST;
use crate::feed::caret::escape;
use crate::feed::number;
use crate::feed::product_list::{Product, parse};

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "held_value",
    kind: "scalar",
    signature: "held_value(value, dimension, amounts)",
    description: "What a record takes of its snapshot: the value; of product_list the lines, the record's amounts divided among \
them as the hit's were.",
    example: "SELECT held_value(';boot;2;60,;sock;3;9', 'product_list', 'revenue=-69')",
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct HeldValue {
    signature: Signature,
}

pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(HeldValue { signature: Signature::any(3, Volatility::Immutable) })
}

impl ScalarUDFImpl for HeldValue {
    fn name(&self) -> &str {
        "held_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.get(1) {
            Some(ColumnarValue::Scalar(name)) if name.try_as_str() == Some(Some(PRODUCT_LIST)) => {}
            _ => return Ok(call.args[0].clone()),
        }
        // as it was planned: a text of any type
        let planned = call.return_field.data_type();
        evaluate(&call.args, |rows| {
            let (lists, amounts) = (rows.text(0)?, rows.text(2)?);
            let mut out = StringBuilder::new();
            for row in 0..rows.len {
                let both = lists.is_valid(row) && amounts.is_valid(row);
                let lines = both.then(|| divided(lists.value(row), amounts.value(row)));
                out.append_option(lines.filter(|lines| !lines.is_empty()));
            }
            Ok(cast(&out.finish(), planned)?)
        })
    }
}

/// The lines of `list`, each with its part of `amounts`, in the proportion of what the lines have; what they have none of, or what
/// sums to nothing, is no line's own.
fn divided(list: &str, amounts: &str) -> String {
    let lines: Vec<Product<'_>> = parse(list).collect();
    let amounts = amounts.split('|').filter_map(|amount| amount.split_once('='));
    let parts = amounts.filter_map(|(metric, total)| {
        let (total, own) = (number::parse(total)?, lines.iter().map(|line| line.amount(metric)));
        let own: Vec<Option<f64>> = own.collect();
        let sum: f64 = own.iter().flatten().sum();
        (sum.is_finite() && sum != 0.0).then_some((metric, total / sum, own))
    });
    let parts: Vec<(&str, f64, Vec<Option<f64>>)> = parts.collect();
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let part = |wanted: &str| {
            let (_, factor, own) = parts.iter().find(|(metric, ..)| *metric == wanted)?;
            Some(own[number]? * factor)
        };
        let text = |metric: &str| part(metric).map_or(String::new(), |amount| amount.to_string());
        let events = parts.iter().filter(|(metric, ..)| !matches!(*metric, "units" | "revenue"));
        let events = events.filter_map(|(metric, ..)| Some(format!("{metric}={}", part(metric)?)));
        if !out.is_empty() {
            out.push(',');
        }
        escape(&line.category, &mut out);
        out.push(';');
        escape(&line.product, &mut out);
        let rest = format!(";{};{};{}", text("units"), text("revenue"), events.collect::<Vec<_>>().join("|"));
        let _ = write!(out, "{}", rest.trim_end_matches(';'));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::divided;

    #[test]
    fn amounts_are_divided_as_the_lines_were() {
        let list = "shoes;boot;2;60;200=5|201;eVar1=x,;so^,ck;3;9;event1=15,;lace";
        assert_eq!(
            divided(list, "revenue=-69|units=-10|event1=4|event7=3|orders=1"),
            "shoes;boot;-4;-60;event1=1,;so^,ck;-6;-9;event1=3,;lace"
        );
        assert_eq!(divided(list, ""), "shoes;boot,;so^,ck,;lace");
        assert_eq!(divided(";a;1;5,;b;1;-5", "revenue=10|units=x"), ";a,;b");
    }
}
