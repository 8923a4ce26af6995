//! `COPY (query) TO 'file'`: the query's columns in the forms that the file's format has.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};

use crate::format::{Form, Format};
use crate::{Error, Result};

/// The same statement; where it writes a file, with columns that the file can hold.
pub fn held_by_file(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Copy(copy) => Ok(LogicalPlan::Copy(held(copy)?)),
        other => Ok(other),
    }
}

fn held(copy: CopyTo) -> Result<CopyTo> {
    let Some(format) = Format::named(&copy.file_type.get_ext()) else { return Ok(copy) };
    let mut changed = false;
    let mut columns = vec![];
    for (of, field) in copy.input.schema().iter() {
        let column = Expr::Column(Column::from((of, field)));
        let held = match format.form(field.data_type()) {
            Form::Same => None,
            Form::As(held) => Some(held),
            // the text of an interval is that of a cast
            Form::Text if matches!(field.data_type(), DataType::Interval(_)) => Some(DataType::Utf8),
            Form::Text => {
                return Err(Error::query(format!(
                    "column {} is {}, which COPY cannot write to a {format} file; CAST it to text, or use `rejoin query -o`",
                    field.name(),
                    field.data_type()
                )));
            }
        };
        changed |= held.is_some();
        columns.push(match held {
            Some(held) => cast(column, held).alias_qualified(of.cloned(), field.name()),
            None => column,
        });
    }
    if !changed {
        return Ok(copy);
    }
    let input = LogicalPlanBuilder::from(copy.input.as_ref().clone()).project(columns)?.build()?;
    Ok(CopyTo { input: input.into(), ..copy })
}
