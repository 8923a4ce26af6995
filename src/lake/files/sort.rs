//! Rows in memory, brought into the lake's order.
//!
//! Batches stay as they are: an index of their rows is sorted, and each column is gathered once, in that order. Columns
//! without a value take no memory, and those that hold one value in all rows of a batch take that of one row. Of columns of
//! texts the rows have codes, where a writer keeps each text once.

use std::cmp::Ordering;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt32Array, make_comparator, new_null_array,
};
use arrow::compute::{SortOptions, cast, interleave, take};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef, TimestampMicrosecondType};

use super::dictionary::{Codes, Dictionaries, Form, Recoding, Shape};
use super::layout::{self, ORDER};
use super::rough_order::{in_rough_order, is_one_value};
use crate::columns::{FILE, HIT_ID_REST, HIT_SEQ, HIT_TIME, ROW, SOURCE, VISITOR_ID, VISITOR_KEY};
use crate::distinct_texts::{NULL, coded_texts, is_same, keys_of};
use crate::{Error, Result};

/// Positions of a part of the keys that are sorted by themselves, about.
const PART_POSITIONS: usize = 8;
/// Bytes of the rows of a bucket at most whose ids are gathered at once, about.
const BESIDE_BYTES: usize = 64 << 20;
/// Parts at most: where they are in memory is looked up for each row.
const MOST_PARTS: usize = 1 << 16;

/// The columns of the order of some rows.
#[derive(Clone)]
pub(super) struct Keys {
    keys: Int64Array,
    ids: StringArray,
    times: TimestampMicrosecondArray,
    sequences: Decimal128Array,
    /// Of rows that may have hit ids.
    rests: Option<Int64Array>,
    /// Of rows some of which are records.
    records: Option<Records>,
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
            records: Records::of(batch)?,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// How a row stands to one of other rows, in the order of [`ORDER`]; of rows that are equal there hits, and rows that feeds bring
    /// integrated, by what is left of their ids, and after them records by file, row and source.
    pub fn compare(&self, row: usize, other: &Keys, other_row: usize) -> Ordering {
        self.keys
            .value(row)
            .cmp(&other.keys.value(other_row))
            .then_with(|| self.compare_ids(row, other, other_row))
            .then_with(|| self.times.value(row).cmp(&other.times.value(other_row)))
            .then_with(|| self.sequences.value(row).cmp(&other.sequences.value(other_row)))
            .then_with(|| self.within_place(row).cmp(&other.within_place(other_row)))
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

    /// The rows of one bucket, which are next to each other in batches that were pushed.
    fn of_bucket(&self, bucket: usize) -> Range<usize> {
        let keys = self.keys.values();
        let start = keys.partition_point(|key| layout::bucket_of(*key) < bucket);
        let count = keys[start..].partition_point(|key| layout::bucket_of(*key) == bucket);
        start..start + count
    }

    fn position(&self, piece: usize, row: usize) -> Position {
        Position { key: self.keys.value(row), time: self.times.value(row), piece: piece as u32, row: row as u32 }
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.ids.is_valid(row).then(|| self.ids.value(row))
    }

    /// Where a row stands among those that are equal to it in [`ORDER`].
    fn within_place(&self, row: usize) -> (bool, Option<i64>, Option<RecordKey<'_>>) {
        let rest = self.rests.as_ref().filter(|rests| rests.is_valid(row)).map(|rests| rests.value(row));
        let record = self.records.as_ref().and_then(|records| records.key(row));
        (record.is_some(), rest, record)
    }

    /// Rows without an id come last.
    fn compare_ids(&self, row: usize, other: &Keys, other_row: usize) -> Ordering {
        match (self.id(row), other.id(other_row)) {
            (Some(one), Some(other)) => one.cmp(other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
    }
}

/// What orders records that are in one place: file, row, source.
type RecordKey<'a> = (&'a str, i64, &'a str);

/// The columns that order records which are in one place. Files and sources are never codes where there are rows of records.
#[derive(Clone)]
struct Records {
    files: Texts,
    rows: Int64Array,
    sources: Texts,
}

impl Records {
    /// Those of a batch; None where no row is a record.
    fn of(batch: &RecordBatch) -> Result<Option<Self>> {
        let rows = batch.column_by_name(ROW).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let Some(rows) = rows.filter(|rows| rows.null_count() < rows.len()) else { return Ok(None) };
        let Some(files) = Texts::of(batch, FILE)? else { return Ok(None) };
        let sources = Texts::of(batch, SOURCE)?.unwrap_or_else(|| files.clone());
        Ok(Some(Self { files, rows: rows.clone(), sources }))
    }

    /// That of a row; None for a hit.
    fn key(&self, row: usize) -> Option<RecordKey<'_>> {
        self.rows.is_valid(row).then(|| (self.files.at(row), self.rows.value(row), self.sources.at(row)))
    }
}

/// Texts of rows: one a row, or a single one that all rows have.
#[derive(Clone)]
struct Texts {
    texts: StringArray,
    one_for_all: bool,
}

impl Texts {
    /// Those of a column; None where a batch has no such column of texts.
    fn of(batch: &RecordBatch, name: &str) -> Result<Option<Self>> {
        let Some(column) = batch.column_by_name(name) else { return Ok(None) };
        let one = first_of_same(column)?;
        let texts = one.as_ref().unwrap_or(column).as_string_opt::<i32>();
        Ok(texts.map(|texts| Self { texts: texts.clone(), one_for_all: one.is_some() }))
    }

    fn at(&self, row: usize) -> &str {
        self.texts.value(if self.one_for_all { 0 } else { row })
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

/// Batches of one schema, in the order in which they came; the rows of each in a rough order, see [`super::rough_order`].
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
    /// The values as codes of the column's dictionary.
    Coded(Codes),
}

impl Piece {
    fn of(schema: &SchemaRef, batch: &RecordBatch, dictionaries: &mut Dictionaries) -> Result<Self> {
        let keys = Keys::of(batch)?;
        let (mut columns, mut bytes) = (vec![], batch.num_rows() * size_of::<Position>());
        for (number, (array, field)) in batch.columns().iter().zip(schema.fields()).enumerate() {
            let column = if array.null_count() == array.len() {
                Column::Absent
            } else if let Some(codes) = dictionaries.encode(number, array)? {
                bytes += codes.bytes();
                Column::Coded(codes)
            } else {
                let array = if coded_texts(array).is_some() { cast(array, field.data_type())? } else { array.clone() };
                match first_of_same(&array)?.filter(|_| !ORDER.contains(&field.name().as_str())) {
                    Some(one) => Column::Same(one),
                    None => {
                        bytes += array.get_array_memory_size();
                        Column::Rows(array)
                    }
                }
            };
            columns.push(column);
        }
        Ok(Self { keys, columns, bytes })
    }

    /// The same rows, their texts in other dictionaries.
    fn recoded(self, recodings: &[Recoding]) -> Result<Self> {
        let Self { keys, columns, mut bytes } = self;
        let mut recoded = Vec::with_capacity(columns.len());
        for (column, recoding) in columns.into_iter().zip(recodings) {
            recoded.push(match (column, recoding) {
                (Column::Coded(codes), Recoding::Codes(there)) => {
                    bytes -= codes.bytes();
                    let codes = codes.recoded(there);
                    bytes += codes.bytes();
                    Column::Coded(codes)
                }
                (Column::Coded(codes), Recoding::Texts(texts)) => {
                    let array = codes.decoded(keys.len(), texts)?;
                    bytes = bytes - codes.bytes() + array.get_array_memory_size();
                    Column::Rows(array)
                }
                (column, _) => column,
            });
        }
        Ok(Self { keys, columns: recoded, bytes })
    }
}

impl Heap {
    /// An empty heap for batches of `schema`, which has all columns of [`ORDER`].
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema, pieces: vec![] }
    }

    /// Adds rows, with their texts in `dictionaries`; gives the bytes that all this and their places in the index take.
    pub fn push(&mut self, batch: &RecordBatch, dictionaries: &mut Dictionaries) -> Result<usize> {
        let before = dictionaries.memory_bytes();
        let ordered = in_rough_order(batch)?;
        let piece = Piece::of(&self.schema, ordered.as_ref().unwrap_or(batch), dictionaries)?;
        // a dictionary that is closed becomes smaller
        let bytes = (piece.bytes + dictionaries.memory_bytes()).saturating_sub(before);
        self.pieces.push(piece);
        Ok(bytes)
    }

    /// Takes the batches of another heap, as those that came last; `recodings` are of its dictionaries, see
    /// [`Dictionaries::append`].
    pub fn append(&mut self, other: Self, recodings: &[Recoding]) -> Result<()> {
        for piece in other.pieces {
            self.pieces.push(piece.recoded(recodings)?);
        }
        Ok(())
    }

    /// Bytes that the rows and their places in the index take.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// Puts a batch, as it is, in the place of an earlier one.
    pub fn replace(&mut self, piece: usize, batch: &RecordBatch) -> Result<()> {
        self.pieces[piece] = Piece::of(&self.schema, batch, &mut Dictionaries::default())?;
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

    /// Bytes that a row takes on average.
    pub fn row_bytes(&self) -> usize {
        let rows: usize = self.pieces.iter().map(|piece| piece.keys.len()).sum();
        self.bytes() / rows.max(1) + 1
    }

    /// The rows of one bucket in order; of rows that are equal in all that [`Keys::compare`] looks at the latest first, see
    /// [`super::repeats`].
    #[cfg(test)]
    pub fn sorted(&self, bucket: usize) -> Vec<Position> {
        let mut positions = self.of_bucket(bucket);
        self.sort(&mut positions);
        positions
    }

    /// The rows of one bucket in order; of rows that are equal in all that [`Keys::compare`] looks at the latest first, see
    /// [`super::repeats`]. With them their ids, where these take little memory: as a dictionary array where each key is of one visitor,
    /// whose text is then copied once and not for each row.
    pub fn sorted_beside_ids(&self, bucket: usize) -> (Vec<Position>, Option<ArrayRef>) {
        let mut positions = self.of_bucket(bucket);
        let id_bytes: usize = self.pieces.iter().map(|piece| piece.keys.ids.value_data().len()).sum();
        let are_few = positions.len() * self.row_bytes() <= BESIDE_BYTES && id_bytes <= i32::MAX as usize;
        if positions.is_empty() || !are_few {
            self.sort(&mut positions);
            return (positions, None);
        }
        sort_by_key_and_time(&mut positions);
        let Some(ids) = self.ids_of_keys(&positions) else {
            self.sort(&mut positions);
            let ids = self.ids_at(&positions).ok();
            return (positions, ids);
        };
        self.sort_visitors(&mut positions, |_| true);
        (positions, Some(ids))
    }

    /// The ids of the rows at these positions, which are sorted by key, as a dictionary array with a text for each key. None where some
    /// key is of two visitors, and where no row has an id.
    fn ids_of_keys(&self, positions: &[Position]) -> Option<ArrayRef> {
        let id = |p: &Position| self.pieces[p.piece as usize].keys.id(p.row as usize);
        let (mut codes, mut count, mut texts) = (Vec::with_capacity(positions.len()), NULL, StringBuilder::new());
        for visitor in positions.chunk_by(|a, b| a.key == b.key) {
            let first = id(&visitor[0]);
            let is_first = |p: &Position| match (id(p), first) {
                (Some(one), Some(first)) => is_same(one.as_bytes(), first.as_bytes()),
                (one, first) => one == first,
            };
            if !visitor[1..].iter().all(is_first) {
                return None;
            }
            let code = match first {
                Some(text) => {
                    texts.append_value(text);
                    count += 1;
                    count
                }
                None => NULL,
            };
            codes.resize(codes.len() + visitor.len(), code);
        }
        if count == 0 {
            return None;
        }
        let ids = DictionaryArray::try_new(keys_of(codes.into_iter()), Arc::new(texts.finish()));
        ids.ok().map(|ids| Arc::new(ids) as ArrayRef)
    }

    /// The ids of the rows at these positions.
    fn ids_at(&self, positions: &[Position]) -> Result<ArrayRef> {
        let ids: Vec<&dyn Array> = self.pieces.iter().map(|piece| &piece.keys.ids as &dyn Array).collect();
        Ok(interleave(&ids, &indices_of(positions))?)
    }

    /// The rows of one bucket, the latest first.
    fn of_bucket(&self, bucket: usize) -> Vec<Position> {
        let parts: Vec<Range<usize>> = self.pieces.iter().map(|piece| piece.keys.of_bucket(bucket)).collect();
        let mut positions = Vec::with_capacity(parts.iter().map(Range::len).sum());
        for (piece, (keys, rows)) in self.pieces.iter().map(|p| &p.keys).zip(parts).enumerate().rev() {
            positions.extend(rows.rev().map(|row| keys.position(piece, row)));
        }
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

    /// The values of the columns of `shape` at `positions`.
    pub fn gather(&self, positions: &[Position], shape: &Shape) -> Result<Vec<ArrayRef>> {
        self.gather_beside(None, positions, shape)
    }

    /// The same, where the ids of these rows may be there already.
    pub fn gather_beside(&self, ids: Option<ArrayRef>, positions: &[Position], shape: &Shape) -> Result<Vec<ArrayRef>> {
        let indices = indices_of(positions);
        let rows = self.pieces.iter().map(|p| p.keys.len()).fold(indices.len(), usize::max);
        let mut nulls = Nulls { rows, arrays: vec![] };
        let gathered = |(column, form): (&usize, &Form)| match self.of_positions(*column, positions, ids.as_ref()) {
            Some(array) => Ok(array),
            None => self.gather_one(*column, form, &indices, &mut nulls),
        };
        shape.columns.iter().zip(&shape.forms).map(gathered).collect()
    }

    /// The values of a column that the index has, where none is NULL, and the ids where they are there.
    fn of_positions(&self, column: usize, positions: &[Position], ids: Option<&ArrayRef>) -> Option<ArrayRef> {
        let field = self.schema.field(column);
        let mut keys = self.pieces.iter().map(|piece| &piece.keys);
        match field.name().as_str() {
            VISITOR_KEY if keys.all(|keys| keys.keys.null_count() == 0) => {
                Some(Arc::new(Int64Array::from_iter_values(positions.iter().map(|p| p.key))))
            }
            HIT_TIME if keys.all(|keys| keys.times.null_count() == 0) => {
                let times = TimestampMicrosecondArray::from_iter_values(positions.iter().map(|p| p.time));
                Some(Arc::new(times.with_data_type(field.data_type().clone())))
            }
            VISITOR_ID => ids.cloned(),
            _ => None,
        }
    }

    /// Sorts by key and time as numbers. Only rows of one key must have their ids compared, and those of one instant
    /// their sequences.
    fn sort(&self, positions: &mut [Position]) {
        sort_by_key_and_time(positions);
        let id = |p: &Position| self.pieces[p.piece as usize].keys.id(p.row as usize);
        self.sort_visitors(positions, |visitor| {
            let first = id(&visitor[0]);
            visitor[1..].iter().all(|p| id(p) == first)
        });
    }

    /// Sorts the rows of each key, which are sorted by time. `is_one` says whether all rows of a key have one id: then each is among those
    /// of its id already.
    fn sort_visitors(&self, positions: &mut [Position], is_one: impl Fn(&[Position]) -> bool) {
        let compare = |a: &Position, b: &Position| {
            let [a_keys, b_keys] = [a, b].map(|p| &self.pieces[p.piece as usize].keys);
            a_keys.compare(a.row as usize, b_keys, b.row as usize)
        };
        for visitor in positions.chunk_by_mut(|a, b| a.key == b.key).filter(|rows| rows.len() > 1) {
            if !is_one(visitor) {
                visitor.sort_by(compare);
                continue;
            }
            for instant in visitor.chunk_by_mut(|a, b| a.time == b.time).filter(|rows| rows.len() > 1) {
                instant.sort_by(compare);
            }
        }
    }

    fn gather_one(
        &self,
        column: usize,
        form: &Form,
        indices: &[(usize, usize)],
        nulls: &mut Nulls,
    ) -> Result<ArrayRef> {
        match form {
            Form::Keys(_) => return self.gather_keys(column, indices),
            Form::Decoded(texts) => return Ok(self.gather_texts(column, texts.as_string(), indices)),
            Form::Plain => {}
        }
        let data_type = self.schema.field(column).data_type();
        let columns = || self.pieces.iter().map(|piece| &piece.columns[column]);
        if columns().all(|c| matches!(c, Column::Absent)) {
            return Ok(nulls.of(data_type).slice(0, indices.len()));
        }
        let absent = columns().any(|c| matches!(c, Column::Absent)).then(|| nulls.of(data_type));
        let arrays = columns().map(|c| match c {
            Column::Absent => absent.as_deref().ok_or_else(|| self.strange(column)),
            Column::Same(array) | Column::Rows(array) => Ok(array.as_ref()),
            Column::Coded(_) => Err(self.strange(column)),
        });
        let arrays: Vec<&dyn Array> = arrays.collect::<Result<_>>()?;
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

    /// A column of which each row that has a value is coded.
    fn gather_keys(&self, column: usize, indices: &[(usize, usize)]) -> Result<ArrayRef> {
        let codes = self.pieces.iter().map(|piece| match &piece.columns[column] {
            Column::Absent => Ok(None),
            Column::Coded(codes) => Ok(Some(codes)),
            Column::Same(_) | Column::Rows(_) => Err(self.strange(column)),
        });
        let codes: Vec<Option<&Codes>> = codes.collect::<Result<_>>()?;
        let same: Option<Vec<u16>> = codes.iter().map(|codes| codes.map_or(Some(0), Codes::same_short)).collect();
        let Some(same) = same else {
            let code = |&(piece, row): &(usize, usize)| codes[piece].map_or(NULL, |codes| codes.code(row));
            return Ok(Arc::new(keys_of(indices.iter().map(code))));
        };
        if let Some(first) = same.first()
            && same.iter().all(|code| code == first)
            && codes.iter().flatten().all(|codes| matches!(codes, Codes::Same(_)))
        {
            return Ok(Arc::new(keys_of(std::iter::repeat_n(u32::from(*first), indices.len()))));
        }
        // rows come from all pieces by turns: in which form their codes are is not decided row by row
        let parts = codes.iter().zip(&same).map(|(codes, same)| match codes {
            Some(Codes::Short(codes)) => (codes.as_slice(), usize::MAX),
            _ => (slice::from_ref(same), 0),
        });
        let parts: Vec<(&[u16], usize)> = parts.collect();
        let code = |&(piece, row): &(usize, usize)| {
            let (codes, mask) = parts[piece];
            u32::from(codes[row & mask])
        };
        Ok(Arc::new(keys_of(indices.iter().map(code))))
    }

    /// A column of which some rows are coded.
    fn gather_texts(&self, column: usize, texts: &StringArray, indices: &[(usize, usize)]) -> ArrayRef {
        let columns: Vec<&Column> = self.pieces.iter().map(|piece| &piece.columns[column]).collect();
        let text = |&(piece, row): &(usize, usize)| match columns[piece] {
            Column::Absent => None,
            Column::Coded(codes) => codes.key(row).map(|key| texts.value(key as usize)),
            Column::Same(array) => Some(array.as_string::<i32>().value(0)),
            Column::Rows(array) => {
                let rows = array.as_string::<i32>();
                rows.is_valid(row).then(|| rows.value(row))
            }
        };
        Arc::new(indices.iter().map(text).collect::<StringArray>())
    }

    fn strange(&self, column: usize) -> Error {
        let name = self.schema.field(column).name();
        Error::bug(format!("rows of {name} are of another form than they are gathered in"))
    }
}

/// Where rows are: the batch, and the row in it.
fn indices_of(positions: &[Position]) -> Vec<(usize, usize)> {
    positions.iter().map(|p| (p.piece as usize, p.row as usize)).collect()
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

/// Sorts by key and time; equal ones stay as they are. Keys are hashes, so that they fall evenly into parts, each of which takes few
/// comparisons to sort; where they do not, it is a sort like any other.
fn sort_by_key_and_time(positions: &mut [Position]) {
    let order = |p: &Position| (p.key, p.time);
    if positions.is_sorted_by_key(order) {
        return;
    }
    let keys = || positions.iter().map(|p| p.key);
    let parts = (positions.len() / PART_POSITIONS).min(MOST_PARTS);
    let Some((least, most)) = keys().min().zip(keys().max()).filter(|_| parts > 1) else {
        positions.sort_by_key(order);
        return;
    };
    // without so many of their bits keys are the numbers of as many parts, about; two at least, so that a bit is left
    let shift = (least.abs_diff(most) / parts as u64).checked_ilog2().map_or(0, |bits| bits + 1);
    let part_of = |key: i64| (least.abs_diff(key) >> shift) as usize;
    let mut ends = vec![0_usize; part_of(most) + 2];
    positions.iter().for_each(|p| ends[part_of(p.key) + 1] += 1);
    let mut count = 0;
    for end in &mut ends {
        count += *end;
        *end = count;
    }
    // a part ends where it begins, until its positions come
    let unsorted = positions.to_vec();
    for position in unsorted {
        let end = &mut ends[part_of(position.key)];
        positions[*end] = position;
        *end += 1;
    }
    let mut start = 0;
    for end in ends {
        positions[start..end].sort_by_key(order);
        start = end;
    }
}

/// The first row of a column all of whose rows have one value; copied, lest it keep all rows in memory.
fn first_of_same(array: &ArrayRef) -> Result<Option<ArrayRef>> {
    Ok(match is_one_value(array) {
        true => Some(take(array, &UInt32Array::from(vec![0]), None)?),
        false => None,
    })
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
mod tests;
