//! Rows in memory, brought into the lake's order.
//!
//! Batches stay as they came: an index of their rows is sorted, and each column is gathered once, in that order. Columns
//! without a value take no memory, and those that hold one value in all rows of a batch take that of one row.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, make_comparator, new_null_array,
};
use arrow::compute::{SortOptions, interleave, take};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef, TimestampMicrosecondType};

use super::layout::{self, ORDER};
use crate::columns::{HIT_ID_REST, HIT_SEQ, HIT_TIME, VISITOR_ID, VISITOR_KEY};
use crate::{Error, Result};

/// The columns of the order of some rows.
#[derive(Clone)]
pub(super) struct Keys {
    keys: Int64Array,
    ids: StringArray,
    times: TimestampMicrosecondArray,
    sequences: Decimal128Array,
    /// Of rows that may have hit ids.
    rests: Option<Int64Array>,
}

impl Keys {
    /// Those of a batch.
    pub fn of(batch: &RecordBatch) -> Result<Self> {
        let lacks = |name: &str| Error::bug(format!("rows to be sorted lack {name}, or it is of a strange type"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| lacks(name));
        Ok(Self {
            keys: column(VISITOR_KEY)?.as_primitive_opt::<Int64Type>().ok_or_else(|| lacks(VISITOR_KEY))?.clone(),
            ids: column(VISITOR_ID)?.as_string_opt::<i32>().ok_or_else(|| lacks(VISITOR_ID))?.clone(),
            times: column(HIT_TIME)?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| lacks(HIT_TIME))?
                .clone(),
            sequences: column(HIT_SEQ)?.as_primitive_opt::<Decimal128Type>().ok_or_else(|| lacks(HIT_SEQ))?.clone(),
            rests: batch.column_by_name(HIT_ID_REST).and_then(|c| c.as_primitive_opt::<Int64Type>()).cloned(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// How a row stands to one of other rows, in the order of [`ORDER`] and then of hit ids.
    pub fn compare(&self, row: usize, other: &Keys, other_row: usize) -> Ordering {
        self.keys
            .value(row)
            .cmp(&other.keys.value(other_row))
            .then_with(|| self.compare_ids(row, other, other_row))
            .then_with(|| self.times.value(row).cmp(&other.times.value(other_row)))
            .then_with(|| self.sequences.value(row).cmp(&other.sequences.value(other_row)))
            .then_with(|| self.rest(row).cmp(&other.rest(other_row)))
    }

    /// Where the rows before another one end, of these sorted rows from `start` on; `or_equal` counts those that are equal
    /// to it.
    pub fn end_before(&self, start: usize, other: &Keys, other_row: usize, or_equal: bool) -> usize {
        let (mut low, mut high) = (start, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.compare(middle, other, other_row) {
                Ordering::Greater => high = middle,
                Ordering::Equal if !or_equal => high = middle,
                Ordering::Equal | Ordering::Less => low = middle + 1,
            }
        }
        low
    }

    fn position(&self, piece: usize, row: usize) -> Position {
        Position { key: self.keys.value(row), time: self.times.value(row), piece: piece as u32, row: row as u32 }
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.ids.is_valid(row).then(|| self.ids.value(row))
    }

    fn rest(&self, row: usize) -> Option<i64> {
        self.rests.as_ref().filter(|rests| rests.is_valid(row)).map(|rests| rests.value(row))
    }

    /// Rows without an id come last.
    fn compare_ids(&self, row: usize, other: &Keys, other_row: usize) -> Ordering {
        match (self.id(row), other.id(other_row)) {
            (Some(one), Some(other)) => one.cmp(other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
    }
}

/// Where a row is, and the numbers that decide most comparisons.
#[derive(Clone, Copy)]
pub(super) struct Position {
    key: i64,
    time: i64,
    piece: u32,
    row: u32,
}

/// Batches of one schema, in the order in which they came.
pub(super) struct Heap {
    schema: SchemaRef,
    pieces: Vec<Piece>,
}

struct Piece {
    keys: Keys,
    columns: Vec<Column>,
    /// What the rows and their places in the index take.
    bytes: usize,
}

/// A column of one batch.
enum Column {
    /// All rows are NULL.
    Absent,
    /// All rows have this one value.
    Same(ArrayRef),
    /// The values.
    Rows(ArrayRef),
}

impl Piece {
    fn of(schema: &SchemaRef, batch: &RecordBatch) -> Result<Self> {
        let keys = Keys::of(batch)?;
        let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
            if array.null_count() == array.len() {
                Column::Absent
            } else if !ORDER.contains(&field.name().as_str()) && is_one_value(array) {
                Column::Same(array.slice(0, 1))
            } else {
                Column::Rows(array.clone())
            }
        });
        // a column of one value is copied, lest its row keep all rows in memory
        let columns = columns.map(|column| match column {
            Column::Same(array) => Ok(Column::Same(take(&array, &UInt32Array::from(vec![0]), None)?)),
            other => Ok(other),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let array_bytes = |column: &Column| match column {
            Column::Rows(array) => array.get_array_memory_size(),
            Column::Absent | Column::Same(_) => 0,
        };
        let bytes = columns.iter().map(array_bytes).sum::<usize>() + batch.num_rows() * size_of::<Position>();
        Ok(Self { keys, columns, bytes })
    }
}

impl Heap {
    /// An empty heap for batches of `schema`, which has all columns of [`ORDER`].
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema, pieces: vec![] }
    }

    /// Adds rows; gives the bytes that they and their places in the index take.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<usize> {
        let piece = Piece::of(&self.schema, batch)?;
        let bytes = piece.bytes;
        self.pieces.push(piece);
        Ok(bytes)
    }

    /// Puts a batch in the place of an earlier one.
    pub fn replace(&mut self, piece: usize, batch: &RecordBatch) -> Result<()> {
        self.pieces[piece] = Piece::of(&self.schema, batch)?;
        Ok(())
    }

    /// Lets a batch go; those that were pushed after it move up.
    pub fn remove(&mut self, piece: usize) {
        self.pieces.remove(piece);
    }

    /// True where there is no batch.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The columns of the order of one batch.
    pub fn keys(&self, piece: usize) -> &Keys {
        &self.pieces[piece].keys
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Bytes that a row takes on average.
    pub fn row_bytes(&self) -> usize {
        let rows: usize = self.pieces.iter().map(|piece| piece.keys.len()).sum();
        self.pieces.iter().map(|piece| piece.bytes).sum::<usize>() / rows.max(1) + 1
    }

    /// The rows of one bucket in order; of rows that are equal in all of [`ORDER`] and in their hit ids the latest first, see
    /// [`super::repeats`].
    pub fn sorted(&self, bucket: usize) -> Vec<Position> {
        let mut positions = vec![];
        for (piece, keys) in self.pieces.iter().map(|p| &p.keys).enumerate() {
            let wanted = |row: &usize| layout::bucket_of(keys.keys.value(*row)) == bucket;
            positions.extend((0..keys.len()).filter(wanted).map(|row| keys.position(piece, row)));
        }
        positions.reverse();
        self.sort(&mut positions);
        positions
    }

    /// Some rows of each batch in order; equal ones in the order in which they came.
    pub fn sorted_parts(&self, parts: &[Range<usize>]) -> Vec<Position> {
        let pieces = self.pieces.iter().zip(parts).enumerate();
        let mut positions: Vec<Position> =
            pieces.flat_map(|(n, (piece, part))| part.clone().map(move |row| piece.keys.position(n, row))).collect();
        self.sort(&mut positions);
        positions
    }

    /// The values of these `columns` (of the schema) at `positions`.
    pub fn gather(&self, positions: &[Position], columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let indices: Vec<(usize, usize)> = positions.iter().map(|p| (p.piece as usize, p.row as usize)).collect();
        let rows = self.pieces.iter().map(|p| p.keys.len()).fold(indices.len(), usize::max);
        let mut nulls = Nulls { rows, arrays: vec![] };
        columns.iter().map(|&column| self.gather_one(column, &indices, &mut nulls)).collect()
    }

    /// Sorts by key and time as numbers. Only rows of one key must have their ids compared, and those of one instant
    /// their sequences.
    fn sort(&self, positions: &mut [Position]) {
        positions.sort_by_key(|p| (p.key, p.time));
        let keys = |p: &Position| (&self.pieces[p.piece as usize].keys, p.row as usize);
        let compare = |a: &Position, b: &Position| {
            let ((a, a_row), (b, b_row)) = (keys(a), keys(b));
            a.compare(a_row, b, b_row)
        };
        let id = |p: &Position| {
            let (keys, row) = keys(p);
            keys.id(row)
        };
        for visitor in positions.chunk_by_mut(|a, b| a.key == b.key).filter(|rows| rows.len() > 1) {
            let first = id(&visitor[0]);
            if visitor[1..].iter().any(|p| id(p) != first) {
                visitor.sort_by(compare);
                continue;
            }
            for instant in visitor.chunk_by_mut(|a, b| a.time == b.time).filter(|rows| rows.len() > 1) {
                instant.sort_by(compare);
            }
        }
    }

    fn gather_one(&self, column: usize, indices: &[(usize, usize)], nulls: &mut Nulls) -> Result<ArrayRef> {
        let data_type = self.schema.field(column).data_type();
        let columns = || self.pieces.iter().map(|piece| &piece.columns[column]);
        if columns().all(|c| matches!(c, Column::Absent)) {
            return Ok(nulls.of(data_type).slice(0, indices.len()));
        }
        let absent = nulls.of(data_type);
        let arrays: Vec<&dyn Array> = columns()
            .map(|c| match c {
                Column::Absent => absent.as_ref(),
                Column::Same(array) | Column::Rows(array) => array.as_ref(),
            })
            .collect();
        let same: Vec<bool> = columns().map(|c| matches!(c, Column::Same(_))).collect();
        if same.iter().all(|same| *same) && equal(&arrays)? {
            let zeros = UInt32Array::from(vec![0; indices.len()]);
            return Ok(take(arrays[0], &zeros, None)?);
        }
        if !same.contains(&true) {
            return Ok(interleave(&arrays, indices)?);
        }
        let first_row = |&(piece, row): &(usize, usize)| (piece, if same[piece] { 0 } else { row });
        Ok(interleave(&arrays, &indices.iter().map(first_row).collect::<Vec<_>>())?)
    }
}

/// Arrays of NULLs, one of each type, for columns that some batches lack.
struct Nulls {
    rows: usize,
    arrays: Vec<ArrayRef>,
}

impl Nulls {
    fn of(&mut self, data_type: &DataType) -> ArrayRef {
        if let Some(array) = self.arrays.iter().find(|array| array.data_type() == data_type) {
            return array.clone();
        }
        let array = new_null_array(data_type, self.rows);
        self.arrays.push(array.clone());
        array
    }
}

/// True where all rows have one value. Costs little where they have not.
fn is_one_value(array: &dyn Array) -> bool {
    if array.null_count() > 0 || array.is_empty() {
        return false;
    }
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let first = texts.value(0);
            (1..texts.len()).all(|row| texts.value(row) == first)
        }
        DataType::Int64 => {
            let numbers = array.as_primitive::<Int64Type>().values();
            numbers.iter().all(|number| *number == numbers[0])
        }
        DataType::Boolean => matches!(array.as_boolean().true_count(), n if n == 0 || n == array.len()),
        _ => false,
    }
}

/// True where the arrays, of one row each, have one value.
fn equal(arrays: &[&dyn Array]) -> Result<bool> {
    for other in &arrays[1..] {
        if make_comparator(arrays[0], *other, SortOptions::default())?(0, 0).is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array};
    use arrow::datatypes::Schema;

    use super::*;
    use crate::columns;

    type Row = (i64, Option<&'static str>, i64, i128, Option<&'static str>, Option<f64>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let key = |name| columns::key_field(name).unwrap();
        let fields = vec![
            key(VISITOR_KEY),
            key(VISITOR_ID),
            key(HIT_TIME),
            key(HIT_SEQ),
            columns::dimension("page"),
            columns::metric("orders"),
            key("suite"),
            key(columns::PERSISTED),
        ];
        let sequences: Decimal128Array = rows.iter().map(|r| Some(r.3)).collect();
        let times: TimestampMicrosecondArray = rows.iter().map(|r| Some(r.2)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|r| Some(r.0)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.1).collect::<StringArray>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(sequences.with_data_type(columns::sequence())),
            Arc::new(rows.iter().map(|r| r.4).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.5).collect::<Float64Array>()),
            Arc::new(StringArray::from(vec!["s"; rows.len()])),
            Arc::new(BooleanArray::from(vec![true; rows.len()])),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    /// Pushed in pieces of any size, rows come out as a plain sort of tuples has them.
    #[test]
    fn every_cut_gives_the_same_order() {
        let rows: Vec<Row> = vec![
            (7, Some("b"), 5, 2, Some("p"), None),
            (7, Some("a"), 9, 1, Some("q"), Some(1.0)),
            (7, Some("b"), 5, 1, None, None),
            (-3, None, 1, 1, Some("p"), Some(2.0)),
            (i64::MIN, Some("x"), 1, 1, Some("p"), None),
            (7, None, 0, 0, Some("r"), None),
            (7, Some("a"), 9, 0, Some("p"), None),
            (9, Some("c"), 3, 8, Some("p"), Some(0.0)),
            (9, Some("c"), 3, 4, Some("p"), None),
            (9, Some("c"), 1, 9, None, None),
        ];
        let mut expected = rows.clone();
        expected.sort_by(|a, b| {
            let id = |r: &Row| (r.1.is_none(), r.1);
            (a.0, id(a), a.2, a.3).cmp(&(b.0, id(b), b.2, b.3))
        });
        let expected = batch(&expected);
        for cut in 1..=rows.len() {
            let mut heap = Heap::new(expected.schema());
            rows.chunks(cut).for_each(|piece| {
                heap.push(&batch(piece)).unwrap();
            });
            let all: Vec<usize> = (0..expected.num_columns()).collect();
            let parts: Vec<_> = rows.chunks(cut).map(|piece| 0..piece.len()).collect();
            let gathered = heap.gather(&heap.sorted_parts(&parts), &all).unwrap();
            assert_eq!(RecordBatch::try_new(expected.schema(), gathered).unwrap(), expected, "pieces of {cut}");
            let by_bucket: Vec<Position> = (0..layout::BUCKETS).flat_map(|b| heap.sorted(b)).collect();
            let gathered = heap.gather(&by_bucket, &all).unwrap();
            assert_eq!(RecordBatch::try_new(expected.schema(), gathered).unwrap(), expected, "buckets of {cut}");
        }
    }
}
