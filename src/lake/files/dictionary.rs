//! The texts of columns while rows wait to be sorted: each text is kept once for all rows of a writer, and rows have its number, its code.
//!
//! In: the columns of batches. Out: codes of their rows, of as few bytes as they need; the form that rows have while they are sorted, spilled
//! and merged, in which a coded column is a column of keys; and at the end the texts beside them. A column whose values hardly recur would
//! only grow by this, and too many texts would fill the memory. From then on the rows of such a column are kept as they come, and rows
//! that are coded already get their texts when they are read. [`Dictionaries::append`] joins the rows of two writers, and says which codes
//! of the one are which codes of the other.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, UInt32Type};

use super::layout::ORDER;
use crate::columns::{FILE, HIT_ID, ROW, SOURCE};
use crate::distinct_texts::{
    DistinctTexts, NULL, UNKNOWN, as_they_come, coded_texts, coded_type, extend_by_codes, is_same, keys_of,
};
use crate::{Error, Result};

/// Distinct texts that any column may have; with more, its values must recur.
const SAMPLE_TEXTS: usize = 4096;
/// Bytes of all texts of a column at most: an array of them has 31 bits for where one ends.
const MOST_BYTES: usize = 1 << 30;
/// Bytes of texts that codes of a column may become again where two writers become one.
const MOST_ROW_BYTES: usize = 16 << 20;

/// The codes of some rows.
pub(super) enum Codes {
    /// All rows have this one.
    Same(u32),
    /// None is larger than 16 bits.
    Short(Vec<u16>),
    /// Any.
    Long(Vec<u32>),
}

impl Codes {
    fn of(codes: Vec<u32>) -> Self {
        let largest = codes.iter().copied().max().unwrap_or(NULL);
        if codes.iter().all(|code| *code == largest) {
            return Self::Same(largest);
        }
        if largest > u32::from(u16::MAX) {
            return Self::Long(codes);
        }
        Self::Short(codes.into_iter().map(|code| code as u16).collect())
    }

    /// The code of a row.
    pub fn code(&self, row: usize) -> u32 {
        match self {
            Self::Same(code) => *code,
            Self::Short(codes) => u32::from(codes[row]),
            Self::Long(codes) => codes[row],
        }
    }

    /// The code that all rows have, 0 where they differ; None where codes take more than 16 bits.
    pub fn same_short(&self) -> Option<u16> {
        match self {
            Self::Same(code) => u16::try_from(*code).ok(),
            Self::Short(_) => Some(0),
            Self::Long(_) => None,
        }
    }

    /// The number of a row's text, from 0; None for NULL.
    pub fn key(&self, row: usize) -> Option<u32> {
        self.code(row).checked_sub(1)
    }

    /// The codes of the same texts in another dictionary; `there` has that of each code here.
    pub fn recoded(self, there: &[u32]) -> Self {
        match self {
            Self::Same(code) => Self::Same(there[code as usize]),
            Self::Short(mut codes) if there.iter().all(|code| *code <= u32::from(u16::MAX)) => {
                codes.iter_mut().for_each(|code| *code = there[usize::from(*code)] as u16);
                Self::Short(codes)
            }
            Self::Short(codes) => Self::Long(codes.into_iter().map(|code| there[usize::from(code)]).collect()),
            Self::Long(codes) => Self::Long(codes.into_iter().map(|code| there[code as usize]).collect()),
        }
    }

    /// The texts of so many rows.
    pub fn decoded(&self, rows: usize, texts: &ArrayRef) -> Result<ArrayRef> {
        Ok(take(texts, &keys_of((0..rows).map(|row| self.code(row))), None)?)
    }

    /// Memory that they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::Short(codes) => size_of_val(codes.as_slice()),
            Self::Long(codes) => size_of_val(codes.as_slice()),
        }
    }
}

/// What becomes of the codes of a column when its rows get another dictionary.
pub(super) enum Recoding {
    /// The column is not coded.
    None,
    /// They become these, each by its place.
    Codes(Vec<u32>),
    /// They become texts, which these are for the numbers.
    Texts(ArrayRef),
}

/// The dictionaries of a writer's columns.
#[derive(Default)]
pub(super) struct Dictionaries {
    columns: Vec<Option<Dictionary>>,
    most_bytes: usize,
}

impl Dictionaries {
    /// Those of all columns of texts but the ones that rows are sorted by, those of records in one place among them, and hit ids, of
    /// which no two are alike. About so many bytes are taken at most.
    pub fn new(schema: &Schema, most_bytes: usize) -> Self {
        let has_records = schema.index_of(ROW).is_ok();
        let is_coded = |field: &FieldRef| {
            let name = field.name().as_str();
            let sorts = ORDER.contains(&name) || (has_records && [FILE, SOURCE].contains(&name));
            field.data_type() == &DataType::Utf8 && !sorts && !HIT_ID.contains(&name)
        };
        let columns = schema.fields().iter().map(|field| is_coded(field).then(Dictionary::default)).collect();
        Self { columns, most_bytes }
    }

    /// The codes of a column's rows, which are texts or [`coded_texts`]; None where they are to be kept as they are.
    pub fn encode(&mut self, column: usize, array: &dyn Array) -> Result<Option<Codes>> {
        let Some(dictionary) = self.columns.get_mut(column).and_then(Option::as_mut) else { return Ok(None) };
        match (array.as_string_opt::<i32>(), coded_texts(array)) {
            (Some(texts), _) => dictionary.encode(texts),
            (None, Some((rows, texts))) => dictionary.encode_keys(rows, texts),
            (None, None) => Ok(None),
        }
    }

    /// True where few codes become texts again when those of another writer are taken: a text a row is many times the memory.
    pub fn can_append(&self, other: &Self) -> bool {
        let pairs = self.columns.iter().zip(&other.columns).filter_map(|(own, other)| own.as_ref().zip(other.as_ref()));
        pairs.into_iter().all(|(own, other)| own.takes(other) || other.row_bytes() <= MOST_ROW_BYTES)
    }

    /// Takes the texts of another writer's columns, which are the same; gives for each what becomes of its codes. Where one of both
    /// takes no more texts, none are taken here from then on.
    pub fn append(&mut self, other: Self) -> Result<Vec<Recoding>> {
        let pairs = self.columns.iter_mut().zip(other.columns);
        let recoding = |(own, other): (&mut Option<Dictionary>, Option<Dictionary>)| match (own, other) {
            (Some(own), Some(other)) => own.append(other),
            _ => Ok(Recoding::None),
        };
        pairs.map(recoding).collect()
    }

    /// Memory that all take.
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().flatten().map(Dictionary::memory_bytes).sum()
    }

    /// Where all take more than they may, the largest take no more texts: those that grow have half of what the others leave.
    pub fn bound(&mut self) -> Result<()> {
        if self.memory_bytes() <= self.most_bytes {
            return Ok(());
        }
        let (closed, mut growing): (Vec<_>, Vec<_>) =
            self.columns.iter_mut().flatten().partition(|dictionary| dictionary.texts.is_some());
        let closed: usize = closed.iter().map(|dictionary| dictionary.memory_bytes()).sum();
        let mut left = self.most_bytes.saturating_sub(closed) / 2;
        growing.sort_by_key(|dictionary| dictionary.memory_bytes());
        for dictionary in growing {
            let bytes = dictionary.memory_bytes();
            if bytes > left {
                dictionary.close()?;
            }
            left = left.saturating_sub(bytes);
        }
        Ok(())
    }

    /// How rows with these `columns` of the writer's `schema` are moved now.
    pub fn shape(&self, schema: &SchemaRef, columns: Vec<usize>) -> Result<Shape> {
        let form = |column: &usize| match self.columns.get(*column).and_then(Option::as_ref) {
            Some(Dictionary { texts: Some(texts), .. }) => Form::Decoded(texts.clone()),
            Some(dictionary) if dictionary.len() > 0 => Form::Keys(dictionary.len()),
            _ => Form::Plain,
        };
        let forms: Vec<Form> = columns.iter().map(form).collect();
        let plain = schema.project(&columns)?;
        let field = |(field, form): (&FieldRef, &Form)| match form {
            Form::Keys(_) => Arc::new(field.as_ref().clone().with_data_type(DataType::UInt32)),
            Form::Decoded(_) | Form::Plain => field.clone(),
        };
        let fields: Vec<FieldRef> = plain.fields().iter().zip(&forms).map(field).collect();
        Ok(Shape { columns, schema: Arc::new(Schema::new(fields)), forms })
    }

    /// The texts of each column; of one that is not coded there are none.
    pub fn into_all_texts(self) -> Result<Vec<ArrayRef>> {
        let columns = self.columns.into_iter();
        columns.map(|dictionary| dictionary.unwrap_or_default().into_texts()).collect()
    }

    /// What makes texts of the keys in rows of a shape that was asked for when all rows had come.
    pub fn into_texts(self, shape: &Shape) -> Result<Texts> {
        let mut dictionaries = self.columns;
        let texts_of = |(column, form): (&usize, &Form)| match form {
            Form::Keys(_) => {
                let dictionary = dictionaries.get_mut(*column).and_then(Option::take);
                dictionary.map(Dictionary::into_texts).transpose()
            }
            Form::Decoded(_) | Form::Plain => Ok(None),
        };
        let texts = shape.columns.iter().zip(&shape.forms).map(texts_of).collect::<Result<Vec<_>>>()?;
        let field = |(field, texts): (&FieldRef, &Option<ArrayRef>)| match texts {
            Some(_) => Arc::new(field.as_ref().clone().with_data_type(coded_type())),
            None => field.clone(),
        };
        let fields: Vec<FieldRef> = shape.schema.fields().iter().zip(&texts).map(field).collect();
        Ok(Texts { schema: Arc::new(Schema::new(fields)), texts })
    }
}

/// Which columns rows have while they are sorted and merged, and how.
pub(super) struct Shape {
    /// Their numbers in the writer's schema, rising.
    pub columns: Vec<usize>,
    /// Their types: a column of keys has numbers.
    pub schema: SchemaRef,
    /// How each is gathered and read.
    pub forms: Vec<Form>,
}

/// How a column is gathered and read.
pub(super) enum Form {
    /// As it is.
    Plain,
    /// As the numbers of its texts, of which there are so many by now.
    Keys(usize),
    /// As texts, which these are for the numbers in rows that came first.
    Decoded(ArrayRef),
}

impl Shape {
    /// All columns as they are.
    pub fn plain(schema: &SchemaRef) -> Self {
        let count = schema.fields().len();
        let forms = std::iter::repeat_with(|| Form::Plain).take(count).collect();
        Self { columns: (0..count).collect(), schema: schema.clone(), forms }
    }

    /// The schema of rows on disk, where keys take no more bytes than they need.
    pub fn stored_schema(&self) -> SchemaRef {
        let stored = |(field, form): (&FieldRef, &Form)| match form {
            Form::Keys(0..=0x100) => Arc::new(field.as_ref().clone().with_data_type(DataType::UInt8)),
            Form::Keys(0x101..=0x1_0000) => Arc::new(field.as_ref().clone().with_data_type(DataType::UInt16)),
            Form::Keys(_) | Form::Decoded(_) | Form::Plain => field.clone(),
        };
        Arc::new(Schema::new(self.schema.fields().iter().zip(&self.forms).map(stored).collect::<Vec<_>>()))
    }

    /// A column, by its place in the shape, of rows that were stored by this shape or by one of before.
    pub fn read(&self, place: usize, stored: &ArrayRef) -> Result<ArrayRef> {
        let data_type = self.schema.field(place).data_type();
        match &self.forms[place] {
            _ if stored.data_type() == data_type => Ok(stored.clone()),
            // narrow ones, or NULLs alone, of when there was no text
            Form::Keys(_) => Ok(cast(stored, data_type)?),
            Form::Decoded(texts) => Ok(take(texts, stored, None)?),
            Form::Plain => Err(Error::bug("a run has another type than the rows that it is of")),
        }
    }
}

/// The texts of the keys in a shape's rows.
pub(super) struct Texts {
    /// With dictionaries in the place of keys.
    schema: SchemaRef,
    texts: Vec<Option<ArrayRef>>,
}

impl Texts {
    /// Rows with their texts, as dictionary arrays.
    pub fn beside(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let column = |(column, texts): (&ArrayRef, &Option<ArrayRef>)| match texts {
            Some(texts) => {
                let keys = column.as_primitive_opt::<UInt32Type>();
                let keys = keys.ok_or_else(|| Error::bug("a column of keys has other values"))?;
                Ok(Arc::new(DictionaryArray::try_new(keys.clone(), texts.clone())?) as ArrayRef)
            }
            None => Ok(column.clone()),
        };
        let columns = batch.columns().iter().zip(&self.texts).map(column).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(as_they_come(&self.schema, &columns), columns)?)
    }
}

/// The texts of a column that have been met.
#[derive(Default)]
struct Dictionary {
    distinct: DistinctTexts,
    /// Values that were coded.
    seen: usize,
    /// What the texts of a dictionary array are here, of the last one: those after it are often parts of the same file.
    last: Option<KnownTexts>,
    /// The texts, when no more are taken.
    texts: Option<ArrayRef>,
}

/// Texts of a dictionary array, and by their codes there, that of NULL first, their codes here as far as they were looked up.
struct KnownTexts {
    texts: StringArray,
    codes: Vec<u32>,
}

impl KnownTexts {
    /// None was looked up.
    fn new(texts: &StringArray) -> Self {
        let mut codes = vec![UNKNOWN; texts.len() + 1];
        codes[NULL as usize] = NULL;
        Self { texts: texts.clone(), codes }
    }

    /// True where these are the texts: they are kept here, so that nothing else can be where they do.
    fn are(&self, texts: &StringArray) -> bool {
        let place = |texts: &StringArray| (texts.value_offsets().as_ptr(), texts.value_data().as_ptr(), texts.len());
        place(&self.texts) == place(texts)
    }

    fn memory_bytes(&self) -> usize {
        self.texts.get_array_memory_size() + self.codes.capacity() * size_of::<u32>()
    }
}

impl Dictionary {
    /// How many texts it has.
    fn len(&self) -> usize {
        self.texts.as_ref().map_or(self.distinct.count(), |texts| texts.len())
    }

    fn memory_bytes(&self) -> usize {
        self.distinct.memory_bytes()
            + self.last.as_ref().map_or(0, KnownTexts::memory_bytes)
            + self.texts.as_ref().map_or(0, |texts| texts.get_array_memory_size())
    }

    /// The codes of an array's rows; None where no more texts are taken.
    fn encode(&mut self, texts: &StringArray) -> Result<Option<Codes>> {
        if !self.takes_texts(texts)? {
            return Ok(None);
        }
        self.seen += texts.len() - texts.null_count();
        // many rows have the text of the one before
        let mut last: (&[u8], u32) = (b"", NULL);
        let code = |row| {
            if texts.is_null(row) {
                return NULL;
            }
            let text = texts.value(row).as_bytes();
            if last.1 == NULL || !is_same(last.0, text) {
                last = (text, self.distinct.code(text));
            }
            last.1
        };
        Ok(Some(Codes::of((0..texts.len()).map(code).collect())))
    }

    /// The same for the rows of a dictionary array, of whose texts those are looked up that some row has, each once.
    fn encode_keys(&mut self, rows: &DictionaryArray<UInt32Type>, texts: &StringArray) -> Result<Option<Codes>> {
        if !self.takes_texts(texts)? {
            return Ok(None);
        }
        self.seen += rows.len() - rows.null_count();
        let known = self.last.take().filter(|last| last.are(texts));
        let mut known = known.unwrap_or_else(|| KnownTexts::new(texts));
        let mut codes = Vec::with_capacity(rows.len());
        extend_by_codes(&mut codes, rows.keys(), |code| {
            let here = &mut known.codes[code as usize];
            if *here == UNKNOWN {
                *here = self.distinct.code(texts.value(code as usize - 1).as_bytes());
            }
            *here
        });
        self.last = Some(known);
        Ok(Some(Codes::of(codes)))
    }

    /// True where texts are taken, and these as well; where they are too many, none are taken from now on.
    fn takes_texts(&mut self, texts: &StringArray) -> Result<bool> {
        if self.texts.is_some() {
            return Ok(false);
        }
        let ends = texts.value_offsets();
        let bytes = ends.first().zip(ends.last()).map_or(0, |(first, last)| (last - first) as usize);
        let differs = self.len() > SAMPLE_TEXTS && 2 * self.len() > self.seen;
        if differs || self.distinct.text_bytes() + bytes > MOST_BYTES {
            self.close()?;
            return Ok(false);
        }
        Ok(true)
    }

    /// True where the texts of another one can be added to those here.
    fn takes(&self, other: &Self) -> bool {
        let bytes = self.distinct.text_bytes() + other.distinct.text_bytes();
        self.texts.is_none() && other.texts.is_none() && bytes <= MOST_BYTES
    }

    /// Bytes of the rows that were coded, had each its text, about.
    fn row_bytes(&self) -> usize {
        let bytes = self.texts.as_ref().map_or(self.distinct.text_bytes(), |texts| texts.get_array_memory_size());
        self.seen * (bytes / self.len().max(1))
    }

    /// Takes the texts of another one; gives what becomes of its codes.
    fn append(&mut self, other: Self) -> Result<Recoding> {
        if !self.takes(&other) {
            if self.texts.is_none() {
                self.close()?;
            }
            return Ok(Recoding::Texts(other.into_texts()?));
        }
        self.seen += other.seen;
        let codes = (1..=other.len() as u32).map(|code| self.distinct.code(other.distinct.text(code)));
        Ok(Recoding::Codes(std::iter::once(NULL).chain(codes).collect()))
    }

    /// Takes no more texts.
    fn close(&mut self) -> Result<()> {
        self.last = None;
        self.texts = Some(Arc::new(std::mem::take(&mut self.distinct).into_array()?));
        Ok(())
    }

    /// The text of key `n` is at `n`.
    fn into_texts(mut self) -> Result<ArrayRef> {
        if self.texts.is_none() {
            self.close()?;
        }
        self.texts.ok_or_else(|| Error::bug("a dictionary that was closed has no texts"))
    }
}

/// The columns of rows whose texts may be dictionary arrays, as columns of texts.
pub(super) fn with_plain_texts(schema: &Schema) -> SchemaRef {
    let plain = |field: &FieldRef| match field.data_type() == &coded_type() {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        false => field.clone(),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(plain).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::datatypes::Field;

    use super::*;

    fn texts(rows: usize, text: impl Fn(usize) -> Option<String>) -> StringArray {
        (0..rows).map(text).collect()
    }

    /// Few texts and many, NULLs and empty ones: each row has its text again, on every way.
    #[test]
    fn rows_come_back() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("page", DataType::Utf8, true)]));
        for items in [1, 2, 40, 900, 200_000] {
            let text = |n: usize| match n % 7 {
                0 => None,
                1 => Some(String::new()),
                _ => Some(format!("text {}", n * 31 % items)),
            };
            let all = texts(100_000, text);
            let mut dictionaries = Dictionaries::new(&schema, usize::MAX);
            let codes = (0..100).map(|part| dictionaries.encode(0, &all.slice(part * 1000, 1000)).unwrap());
            let codes: Vec<Codes> = codes.map_while(|codes| codes).collect();
            // all of the many differ
            assert_eq!(codes.len() == 100, items <= 900, "{items} texts");
            assert!(!codes.is_empty());
            let count = codes.len() * 1000;
            let expected: ArrayRef = Arc::new(all.slice(0, count));
            let keys: ArrayRef = Arc::new(keys_of((0..count).map(|row| codes[row / 1000].code(row % 1000))));
            let shape = dictionaries.shape(&schema, vec![0]).unwrap();
            if items > 900 {
                assert_eq!(&shape.read(0, &keys).unwrap(), &expected, "{items} texts");
                continue;
            }
            let stored = cast(&keys, shape.stored_schema().field(0).data_type()).unwrap();
            assert_eq!(&shape.read(0, &stored).unwrap(), &keys, "{items} texts");
            let batch = RecordBatch::try_new(shape.schema.clone(), vec![keys]).unwrap();
            let rows = dictionaries.into_texts(&shape).unwrap().beside(&batch).unwrap();
            assert_eq!(rows.column(0).data_type(), &coded_type());
            assert_eq!(&cast(rows.column(0), &DataType::Utf8).unwrap(), &expected, "{items} texts");
        }
    }

    #[test]
    fn codes_take_as_few_bytes_as_they_need() {
        let mut dictionary = Dictionary::default();
        let same = dictionary.encode(&StringArray::from(vec!["a"; 9])).unwrap().unwrap();
        assert_eq!((same.bytes(), same.key(8)), (0, Some(0)));
        let few = dictionary.encode(&StringArray::from(vec![Some("b"), None, Some("a")])).unwrap().unwrap();
        assert_eq!((few.bytes(), [0, 1, 2].map(|row| few.key(row))), (6, [Some(1), None, Some(0)]));
        let many = Codes::of(vec![1, 1 << 16]);
        assert_eq!((many.bytes(), many.key(1)), (8, Some((1 << 16) - 1)));
    }

    /// Rows of dictionary arrays have the codes of their texts: over texts that come again, others, parts of rows, and NULLs.
    #[test]
    fn dictionary_arrays_are_coded_as_their_texts() {
        let texts_of = |from: usize| texts(60, |n| Some(format!("text {}", from + n)));
        let (one, other) = (texts_of(0), texts_of(40));
        let coded = |texts: &StringArray, rows: usize, step: usize| {
            let key = |row: usize| (!row.is_multiple_of(5)).then_some((row * step % 50) as u32);
            let keys = (0..rows).map(key).collect::<arrow::array::UInt32Array>();
            DictionaryArray::try_new(keys, Arc::new(texts.clone())).unwrap()
        };
        let rows = [coded(&one, 900, 1), coded(&one, 900, 7), coded(&other, 500, 3), coded(&one, 4, 1)];
        let parts = rows.iter().map(|rows| rows.slice(rows.len() / 3, rows.len() / 2));
        let (mut as_coded, mut as_texts) = (Dictionary::default(), Dictionary::default());
        for rows in rows.iter().cloned().chain(parts) {
            let plain = cast(&rows, &DataType::Utf8).unwrap();
            let (rows, texts) = coded_texts(&rows).unwrap();
            let found = as_coded.encode_keys(rows, texts).unwrap().unwrap();
            let expected = as_texts.encode(plain.as_string::<i32>()).unwrap().unwrap();
            assert!((0..plain.len()).all(|row| found.code(row) == expected.code(row)));
            assert_eq!(as_coded.seen, as_texts.seen);
        }
        let (from_codes, from_texts) = (as_coded.into_texts().unwrap(), as_texts.into_texts().unwrap());
        assert_eq!(&from_codes, &from_texts);
        // what may be NULL by its text is none of them
        let nulls = StringArray::from(vec![Some("a"), None]);
        assert!(coded_texts(&coded(&nulls, 0, 1)).is_none());
    }

    /// Where most values differ the column is left alone, also when they come back later.
    #[test]
    fn what_hardly_recurs_is_kept_as_it_is() {
        let mut dictionary = Dictionary::default();
        let different = |from: usize| texts(3000, |n| Some(format!("id {}", from + n)));
        assert!(dictionary.encode(&different(0)).unwrap().is_some());
        assert!(dictionary.encode(&different(3000)).unwrap().is_some());
        let before = dictionary.memory_bytes();
        assert!(dictionary.encode(&different(6000)).unwrap().is_none());
        assert!(dictionary.memory_bytes() < before);
        assert!(dictionary.encode(&different(0)).unwrap().is_none());
        assert_eq!(dictionary.into_texts().unwrap().len(), 6000);
    }

    /// Many rows of one long text are not made texts again for another writer.
    #[test]
    fn few_codes_become_texts() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("page", DataType::Utf8, true)]));
        let coded = |text: &StringArray, closed: bool| {
            let mut dictionaries = Dictionaries::new(&schema, usize::MAX);
            dictionaries.encode(0, text).unwrap().unwrap();
            if closed {
                dictionaries.columns[0].as_mut().unwrap().close().unwrap();
            }
            dictionaries
        };
        let long = texts(100_000, |_| Some("a page of many words ".repeat(20)));
        let short = texts(3000, |n| Some(format!("text {}", n % 40)));
        assert!(coded(&long, false).can_append(&coded(&long, false)));
        assert!(coded(&short, true).can_append(&coded(&short, false)));
        assert!(!coded(&short, true).can_append(&coded(&long, false)));
        assert!(!coded(&short, false).can_append(&coded(&long, true)));
    }

    /// Rows of two writers have their texts in the dictionaries of one, whichever of them took no more.
    #[test]
    fn dictionaries_are_appended() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("page", DataType::Utf8, true)]));
        let few = texts(3000, |n| (n % 5 > 0).then(|| format!("text {}", n % 40)));
        let others = texts(3000, |n| (n % 7 > 0).then(|| format!("text {}", n % 60 + 20)));
        let same = texts(3000, |_| Some("one".to_string()));
        // more than two bytes number
        let many = texts(66_000, |n| Some(format!("text {n}")));
        let different = texts(6000, |n| Some(format!("id {n}")));
        let pairs = [[&few, &others], [&same, &few], [&few, &same], [&many, &few], [&few, &many], [&many, &different]];
        for parts in pairs {
            for closed in [[false, false], [true, false], [false, true], [true, true]] {
                let mut sides = parts.iter().zip(closed).map(|(part, closed)| {
                    let mut dictionaries = Dictionaries::new(&schema, usize::MAX);
                    let codes = dictionaries.encode(0, *part).unwrap().unwrap();
                    if closed {
                        dictionaries.columns[0].as_mut().unwrap().close().unwrap();
                    }
                    (dictionaries, codes)
                });
                let ((mut dictionaries, codes), (other, others)) = (sides.next().unwrap(), sides.next().unwrap());
                let recoding = dictionaries.append(other).unwrap().pop().unwrap();
                let shape = dictionaries.shape(&schema, vec![0]).unwrap();
                assert_eq!(matches!(shape.forms[0], Form::Keys(_)), closed == [false, false]);
                let appended = match recoding {
                    Recoding::Codes(there) => {
                        let all = dictionaries.into_all_texts().unwrap().pop().unwrap();
                        let own = codes.decoded(parts[0].len(), &all).unwrap();
                        assert_eq!(own.as_string::<i32>(), parts[0]);
                        others.recoded(&there).decoded(parts[1].len(), &all).unwrap()
                    }
                    Recoding::Texts(texts) => others.decoded(parts[1].len(), &texts).unwrap(),
                    Recoding::None => unreachable!("the column is coded"),
                };
                assert_eq!(appended.as_string::<i32>(), parts[1]);
            }
        }
    }

    /// With too little memory the largest are closed, and the others go on while there is some.
    #[test]
    fn memory_has_a_bound() {
        let fields = ["few", "many"].map(|name| Field::new(name, DataType::Utf8, true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
        let mut dictionaries = Dictionaries::new(&schema, 5_000);
        let mut encode = |column, items: usize| {
            let codes = dictionaries.encode(column, &texts(2000, |n| Some(format!("a value {}", n % items)))).unwrap();
            dictionaries.bound().unwrap();
            codes.is_some()
        };
        assert!(encode(0, 3) && encode(1, 900));
        assert!(encode(0, 3) && !encode(1, 900) && !encode(0, 3));
    }
}
