//! Columns of a batch by name, in the types that a journey needs.

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};

use super::Selection;
use super::breakdown::{GROUP_COLUMNS, GroupRows, LineGroups};
use super::items::Text;
use crate::columns::{sequence, timestamp};

/// Columns of a batch by name, in the type that is wanted; a cast to the type that a column already has costs nothing.
pub(super) struct Finder<'b>(pub &'b RecordBatch);

impl Finder<'_> {
    pub fn column(&self, name: &str) -> Result<&ArrayRef> {
        let found = self.0.column_by_name(name);
        found.ok_or_else(|| DataFusionError::Internal(format!("a journey needs the column {name}")))
    }

    fn typed(&self, name: &str, data_type: &DataType) -> Result<ArrayRef> {
        Ok(cast(self.column(name)?, data_type)?)
    }

    pub fn text(&self, name: &str) -> Result<Text> {
        Text::of(self.column(name)?)
    }

    pub fn integers(&self, name: &str) -> Result<Int64Array> {
        Ok(self.typed(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    pub fn floats(&self, name: &str) -> Result<Float64Array> {
        Ok(self.typed(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    pub fn booleans(&self, name: &str) -> Result<BooleanArray> {
        Ok(self.typed(name, &DataType::Boolean)?.as_boolean().clone())
    }

    pub fn times(&self, name: &str) -> Result<TimestampMicrosecondArray> {
        Ok(self.typed(name, &timestamp())?.as_primitive::<TimestampMicrosecondType>().clone())
    }

    pub fn sequences(&self, name: &str) -> Result<Decimal128Array> {
        Ok(self.typed(name, &sequence())?.as_primitive::<Decimal128Type>().clone())
    }

    pub fn marks(&self, selection: &Selection) -> Result<[Option<BooleanArray>; 2]> {
        let mark = |wanted: bool, name| wanted.then(|| self.booleans(name)).transpose();
        Ok([mark(selection.visitors, "marks_visitor")?, mark(selection.visits, "marks_visit")?])
    }

    pub fn groups(&self, selection: &Selection) -> Result<Option<GroupRows>> {
        match selection.by.is_empty() || selection.takes_lines() {
            true => Ok(None),
            false => GroupRows::new(&selection.by, &self.group_columns(selection)?).map(Some),
        }
    }

    pub fn line_groups(&self, selection: &Selection) -> Result<Option<LineGroups>> {
        if !selection.takes_lines() {
            return Ok(None);
        }
        let lines = self.column("lines")?.as_list::<i32>();
        LineGroups::new(&selection.by, &self.group_columns(selection)?, lines).map(Some)
    }

    fn group_columns(&self, selection: &Selection) -> Result<Vec<ArrayRef>> {
        GROUP_COLUMNS.iter().take(selection.by.len()).map(|name| self.column(name).cloned()).collect()
    }
}
