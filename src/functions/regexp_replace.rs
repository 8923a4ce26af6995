//! `regexp_replace` whose replacement is read as PostgreSQL reads it: `\1` and `\&` are what was found, and a `$` is a `$`. DataFusion takes
//! `$1` for a group, too.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

/// DataFusion's function with such replacements.
pub(super) fn with_replacements(function: Arc<ScalarUDF>) -> ScalarUDF {
    ScalarUDF::new_from_impl(RegexpReplace { function })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpReplace {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for RegexpReplace {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(replacement) = args.args.get_mut(2) {
            *replacement = match &*replacement {
                ColumnarValue::Scalar(text) => ColumnarValue::Scalar(match text.try_as_str().flatten() {
                    Some(written) => ScalarValue::from(read(written)).cast_to(&text.data_type())?,
                    None => text.clone(),
                }),
                ColumnarValue::Array(texts) => {
                    let written = cast(texts, &DataType::Utf8)?;
                    let read: StringArray = written.as_string::<i32>().iter().map(|text| text.map(read)).collect();
                    let read: ArrayRef = Arc::new(read);
                    ColumnarValue::Array(cast(&read, texts.data_type())?)
                }
            };
        }
        self.function.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// A replacement in DataFusion's signs.
fn read(written: &str) -> String {
    let mut read = String::with_capacity(written.len());
    let mut signs = written.chars();
    while let Some(sign) = signs.next() {
        match (sign, if sign == '\\' { signs.next() } else { None }) {
            ('$', _) => read.push_str("$$"),
            ('\\', Some('&')) => read.push_str("\\0"),
            ('\\', Some('$')) => read.push_str("\\$$"),
            (sign, next) => {
                read.push(sign);
                read.extend(next);
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::functions::regex::regexp_replace;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// As PostgreSQL 15 answers.
    #[tokio::test]
    async fn replacements_are_read() {
        let context = SessionContext::new();
        context.register_udf(with_replacements(regexp_replace()));
        for (call, expected) in [
            (r"regexp_replace('a5b6', '[0-9]', '$', 'g')", "a$b$"),
            (r"regexp_replace('5 EUR', '(\d+) EUR', '$\1')", "$5"),
            (r"regexp_replace('a5b', '5', '$1')", "a$1b"),
            (r"regexp_replace('Hello', 'l+', '<\&>')", "He<ll>o"),
            (r"regexp_replace(x, '5', '$1') FROM (VALUES ('a5')) AS t(x)", "a$1"),
            (r"regexp_replace('a5', '5', x) FROM (VALUES ('$1')) AS t(x)", "a$1"),
        ] {
            let rows = context.sql(&format!("SELECT {call}")).await.unwrap().collect().await.unwrap();
            let found = cast(rows[0].column(0), &DataType::Utf8).unwrap();
            assert_eq!(found.as_string::<i32>().value(0), expected, "{call}");
        }
    }
}
