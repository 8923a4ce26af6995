//! Credit by columns of the conversion's row: rows in, dense numbers of their groups out, and columns again at the end.
//!
//! Memory: each group once, and each pair of a group and an item that took part; the caller accounts for it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringBuilder, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Float64Type, TimeUnit};
use arrow::row::{Row, RowConverter, Rows, SortField};
use datafusion::error::Result;
use serde::{Deserialize, Serialize};

use super::seeded::Seed;
use crate::attribution::{CreditSink, ItemCredits, NONE};

/// The columns of the input that hold the groups, in order.
pub const GROUP_COLUMNS: [&str; 8] =
    ["group_1", "group_2", "group_3", "group_4", "group_5", "group_6", "group_7", "group_8"];

/// What identifies a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum GroupType {
    /// The value of a dimension.
    Text,
    /// The first day of a span of time.
    Day,
    /// The beginning of an hour, as a clock shows it.
    Hour,
    /// The product or category of a line of what was bought: each line converts with its part of the row's value.
    Line,
}

impl GroupType {
    /// Of the column.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Line => DataType::Utf8,
            Self::Day => DataType::Date32,
            Self::Hour => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

/// The columns that a question is broken down by: names in the answer, and what they hold.
pub type Breakdown = [(String, GroupType)];

/// The fields of the answer that tell the group.
pub(super) fn fields(by: &Breakdown) -> Vec<Field> {
    by.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect()
}

/// The groups of rows of a batch.
#[derive(Debug)]
pub(super) struct GroupRows {
    groups: Rows,
    /// The rows that they are of, rising; None for all.
    rows: Option<Vec<u32>>,
}

impl GroupRows {
    /// Of columns that read as the types of `by`.
    pub fn new(by: &Breakdown, columns: &[ArrayRef]) -> Result<Self> {
        let typed = columns.iter().zip(by).map(|(column, (_, kind))| cast(column, &kind.data_type()));
        let typed = typed.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Self { groups: converter(by)?.convert_columns(&typed)?, rows: None })
    }

    /// Only of these rows, which rise.
    pub fn of_rows(self, rows: Vec<u32>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    fn of(&self, row: usize) -> Row<'_> {
        let place = match &self.rows {
            Some(rows) => rows.binary_search(&(row as u32)).expect("a group is asked for where a row converts"),
            None => row,
        };
        self.groups.row(place)
    }
}

/// The groups of the lines of rows of a batch.
#[derive(Debug)]
pub(super) struct LineGroups {
    /// Of each row, where its lines begin; one more than there are rows.
    begins: Vec<usize>,
    /// Of each line, its part of the row's value.
    shares: Vec<f64>,
    /// Of each line.
    pub groups: GroupRows,
}

impl LineGroups {
    /// Of columns that read as the types of `by`, but for that of the lines, and of the lines of each row: a list of items with
    /// their amounts. A row whose amounts sum to 0, or that has none, is one line without an item.
    pub fn new(by: &Breakdown, columns: &[ArrayRef], lines: &ListArray) -> Result<Self> {
        let (mut begins, mut shares, mut rows) = (vec![0], vec![], vec![]);
        let mut items = StringBuilder::new();
        let all = lines.values().as_struct();
        let (names, amounts) = (all.column(0).as_string::<i32>(), all.column(1).as_primitive::<Float64Type>());
        for row in 0..lines.len() {
            let own = match lines.is_valid(row) {
                true => lines.value_offsets()[row] as usize..lines.value_offsets()[row + 1] as usize,
                false => 0..0,
            };
            let total: f64 = own.clone().map(|line| amounts.value(line)).sum();
            if total.is_finite() && total != 0.0 {
                for line in own.filter(|line| amounts.value(*line) != 0.0) {
                    items.append_option(names.is_valid(line).then(|| names.value(line)));
                    shares.push(amounts.value(line) / total);
                    rows.push(row as u32);
                }
            } else {
                items.append_null();
                shares.push(1.0);
                rows.push(row as u32);
            }
            begins.push(shares.len());
        }
        let (rows, items) = (UInt32Array::from(rows), Arc::new(items.finish()) as ArrayRef);
        let columns = columns.iter().zip(by).map(|(column, (_, kind))| match kind {
            GroupType::Line => Ok(items.clone()),
            _ => take(column, &rows, None),
        });
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Self { begins, shares, groups: GroupRows::new(by, &columns)? })
    }

    /// The lines of a row: each its number, and its part of the row's value.
    pub fn of(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        (self.begins[row]..self.begins[row + 1]).map(|line| (line, self.shares[line]))
    }
}

fn converter(by: &Breakdown) -> Result<RowConverter> {
    Ok(RowConverter::new(by.iter().map(|(_, kind)| SortField::new(kind.data_type())).collect())?)
}

/// Pairs of a group and an item, with their numbers.
type Pairs = HashMap<(u32, u32), u32, Seed>;

/// The groups that have been met, and the items that took part in each.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: HashMap<Arc<[u8]>, u32, Seed>,
    keys: Vec<Arc<[u8]>>,
    pairs: Pairs,
    listed: Vec<(u32, u32)>,
    bytes: usize,
}

impl Groups {
    /// The number of a row's group.
    pub fn number(&mut self, rows: &GroupRows, row: usize) -> u32 {
        self.number_of(rows.of(row).as_ref())
    }

    /// What tells each group, by number.
    pub fn keys(&self) -> &[Arc<[u8]>] {
        &self.keys
    }

    /// The number of the group that this tells.
    pub fn number_of(&mut self, key: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let (number, key): (u32, Arc<[u8]>) = (self.keys.len() as u32, Arc::from(key));
        // the bytes with their counts, a place in the list and one in the table
        self.bytes += key.len() + 80;
        self.keys.push(key.clone());
        self.numbers.insert(key, number);
        number
    }

    /// Takes over the groups and pairs of other visitors, whose item `i` is `rename(i)` here: their numbers here.
    pub fn merge(&mut self, other: &Self, rename: impl Fn(u32) -> u32) -> (Vec<u32>, Vec<u32>) {
        let groups: Vec<u32> = other.keys.iter().map(|key| self.number_of(key)).collect();
        let pair = |(group, item): &(u32, u32)| {
            let item = if *item == NONE { NONE } else { rename(*item) };
            pair_of(&mut self.pairs, &mut self.listed, (groups[*group as usize], item))
        };
        let pairs = other.listed.iter().map(pair).collect();
        (groups, pairs)
    }

    /// Credits the items of one group.
    pub fn sink<'s>(&'s mut self, group: u32, credits: &'s mut ItemCredits) -> GroupSink<'s> {
        GroupSink { group, groups: self, credits }
    }

    /// The number of the pair of a group and an item.
    pub fn pair(&mut self, group: u32, item: u32) -> u32 {
        pair_of(&mut self.pairs, &mut self.listed, (group, item))
    }

    /// Pairs of a group and an item, by number.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.listed
    }

    /// The columns of groups.
    pub fn columns(&self, by: &Breakdown, groups: impl Iterator<Item = u32>) -> Result<Vec<ArrayRef>> {
        let converter = converter(by)?;
        let parser = converter.parser();
        Ok(converter.convert_rows(groups.map(|group| parser.parse(&self.keys[group as usize])))?)
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.pairs.capacity() * 13 + self.listed.capacity() * 8
    }
}

/// The number of a pair.
fn pair_of(pairs: &mut Pairs, listed: &mut Vec<(u32, u32)>, pair: (u32, u32)) -> u32 {
    *pairs.entry(pair).or_insert_with(|| {
        listed.push(pair);
        listed.len() as u32 - 1
    })
}

/// Credits the items of one group under the numbers of their pairs.
pub(super) struct GroupSink<'s> {
    group: u32,
    groups: &'s mut Groups,
    credits: &'s mut ItemCredits,
}

impl CreditSink for GroupSink<'_> {
    fn credit(&mut self, item: u32, position: u32, amount: f64) {
        let pair = self.groups.pair(self.group, item);
        self.credits.credit(pair, position, amount);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Date32Array, StringArray};

    use super::*;

    #[test]
    fn groups_come_back_as_columns() {
        let by = [("country".to_string(), GroupType::Text), ("month".to_string(), GroupType::Day)];
        let countries: ArrayRef = Arc::new(StringArray::from(vec![Some("DE"), None, Some("DE")]));
        let months: ArrayRef = Arc::new(Date32Array::from(vec![Some(31), Some(31), Some(31)]));
        let rows = GroupRows::new(&by, &[countries, months]).unwrap();
        let (mut groups, mut credits) = (Groups::default(), ItemCredits::new());
        assert_eq!([0, 1, 2].map(|row| groups.number(&rows, row)), [0, 1, 0]);
        groups.sink(1, &mut credits).credit(NONE, 0, 2.0);
        groups.sink(0, &mut credits).credit(7, 0, 3.0);
        groups.sink(1, &mut credits).credit(NONE, 0, 2.0);
        assert_eq!(groups.pairs(), [(1, NONE), (0, 7)]);
        assert_eq!(credits.iter().collect::<Vec<_>>(), [(0, 4.0), (1, 3.0)]);
        let columns = groups.columns(&by, [1, 0].into_iter()).unwrap();
        assert!(columns[0].is_null(0) && columns[0].is_valid(1) && columns[1].null_count() == 0);
        assert!(groups.memory_bytes() > 0);
    }
}
