//! Which form a column takes in a format that has no values of its type: the one place that says so.
//!
//! | type | Parquet | Arrow | csv, tsv, tables | JSON |
//! | --- | --- | --- | --- | --- |
//! | interval | text | itself | text | text |
//! | union | text | itself | text | text |
//! | list, struct, map | of what it holds; a struct of nothing text | of what it holds | JSON as text | itself |
//! | dictionary | itself where of texts or bytes, else its values | its values | its values | its values |
//! | runs | their values | themselves | their values | their values |
//! | instant or time of day in seconds | in milliseconds | itself | text | text |
//! | decimal of tens or more | text | itself | text | number |
//!
//! Texts are those of `cell`, the same in all formats. Everything else is itself in Parquet and Arrow: a duration is, in Parquet, a whole
//! number that readers of Arrow know for one. An Arrow file holds one dictionary a column, but each batch has its own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use super::cell::{CellReader, distinct_names, plain};
use crate::Result;

/// The form of a column's values in a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Same,
    /// Values of another type.
    As(DataType),
    /// Their texts.
    Text,
}

impl Form {
    /// In a Parquet file.
    pub fn in_parquet(of: &DataType) -> Self {
        Self::of(of, held_by_parquet(of))
    }

    /// In an Arrow file.
    pub fn in_arrow(of: &DataType) -> Self {
        Self::of(of, held_by_arrow(of))
    }

    /// In a line of texts.
    pub fn in_lines(of: &DataType) -> Self {
        if of.is_nested() { Self::Text } else { Self::Same }
    }

    /// In JSON.
    pub fn in_json(of: &DataType) -> Self {
        if matches!(of, DataType::Union(..)) { Self::Text } else { Self::Same }
    }

    fn of(from: &DataType, held: Option<DataType>) -> Self {
        match held {
            Some(held) if held == *from => Self::Same,
            Some(held) if can_cast_types(from, &held) => Self::As(held),
            _ => Self::Text,
        }
    }

    fn field(&self, field: &FieldRef) -> FieldRef {
        match self {
            Self::Same => field.clone(),
            Self::As(held) => Arc::new(field.as_ref().clone().with_data_type(held.clone())),
            // what says more of the type is of the former one
            Self::Text => Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())),
        }
    }

    fn column(&self, column: &ArrayRef) -> Result<ArrayRef> {
        match self {
            Self::Same => Ok(column.clone()),
            // a value that the form has not is an error, never a NULL
            Self::As(held) => Ok(cast_with_options(column, held, &CastOptions { safe: false, ..Default::default() })?),
            Self::Text => texts(column),
        }
    }
}

/// The type in which Parquet holds these values; None where it is text.
fn held_by_parquet(of: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match of {
        D::Interval(_) | D::Union(..) => return None,
        D::Struct(fields) if fields.is_empty() => return None,
        D::Decimal32(_, places) | D::Decimal64(_, places) | D::Decimal128(_, places) | D::Decimal256(_, places)
            if *places < 0 =>
        {
            return None;
        }
        D::Timestamp(TimeUnit::Second, zone) => D::Timestamp(TimeUnit::Millisecond, zone.clone()),
        D::Time32(TimeUnit::Second) => D::Time32(TimeUnit::Millisecond),
        D::Dictionary(_, values) if values.is_string() || values.is_binary() => of.clone(),
        D::Dictionary(_, values) => held_by_parquet(values)?,
        D::RunEndEncoded(_, values) => held_by_parquet(values.data_type())?,
        other => with_parts(other, held_by_parquet)?,
    })
}

/// The type in which an Arrow file holds these values; None where it is text.
fn held_by_arrow(of: &DataType) -> Option<DataType> {
    match of {
        DataType::Dictionary(_, values) => held_by_arrow(values),
        other => with_parts(other, held_by_arrow),
    }
}

/// A type whose parts are held so; one without parts is itself.
fn with_parts(of: &DataType, held: fn(&DataType) -> Option<DataType>) -> Option<DataType> {
    use DataType as D;
    let part = |field: &FieldRef| -> Option<FieldRef> {
        Some(Arc::new(field.as_ref().clone().with_data_type(held(field.data_type())?)))
    };
    Some(match of {
        D::List(item) => D::List(part(item)?),
        D::LargeList(item) => D::LargeList(part(item)?),
        D::FixedSizeList(item, count) => D::FixedSizeList(part(item)?, *count),
        D::ListView(item) => D::ListView(part(item)?),
        D::LargeListView(item) => D::LargeListView(part(item)?),
        D::Struct(fields) => D::Struct(fields.iter().map(part).collect::<Option<Fields>>()?),
        D::Map(entries, sorted) => D::Map(part(entries)?, *sorted),
        other => other.clone(),
    })
}

fn texts(column: &ArrayRef) -> Result<ArrayRef> {
    let column = plain(column)?;
    let cells = CellReader::new(column.as_ref())?;
    let (mut texts, mut cell) = (StringBuilder::new(), String::new());
    for row in 0..column.len() {
        if cells.is_null(row) {
            texts.append_null();
            continue;
        }
        cell.clear();
        cells.write(row, &mut cell)?;
        texts.append_value(&cell);
    }
    Ok(Arc::new(texts.finish()))
}

/// The columns of a result in their forms.
pub struct FileColumns {
    /// The columns of the file.
    pub schema: SchemaRef,
    forms: Vec<Form>,
}

impl FileColumns {
    /// The columns of `schema`, each in the form that its type has.
    pub fn new(schema: &SchemaRef, form: fn(&DataType) -> Form) -> Self {
        let forms: Vec<Form> = schema.fields().iter().map(|field| form(field.data_type())).collect();
        // a file's columns are found by their names
        let named = schema.fields().iter().zip(distinct_names(schema));
        let held = named.zip(&forms).map(|((field, name), form)| match form.field(field) {
            field if *field.name() == name => field,
            field => Arc::new(field.as_ref().clone().with_name(name)),
        });
        let fields: Fields = held.collect();
        Self { schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())), forms }
    }

    /// Rows in these forms.
    pub fn rows(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut names = batch.schema_ref().fields().iter().zip(self.schema.fields());
        let same_names = names.all(|(before, held)| before.name() == held.name());
        if same_names && self.forms.iter().all(|form| *form == Form::Same) {
            return Ok(batch.clone());
        }
        let columns = batch.columns().iter().zip(&self.forms).map(|(column, form)| form.column(column));
        Ok(RecordBatch::try_new(self.schema.clone(), columns.collect::<Result<_>>()?)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ::bytes::Bytes;
    use arrow::array::{AsArray, DictionaryArray, IntervalMonthDayNanoArray, ListArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Int32Type, IntervalMonthDayNano, IntervalUnit};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::samples::{all_types, bytes};
    use super::super::{Format, TextStyle};
    use super::*;

    const SPAN: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

    fn list_of(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, true)))
    }

    #[test]
    fn forms_of_types() {
        use DataType as D;
        let words = D::Dictionary(Box::new(D::Int32), Box::new(D::Utf8));
        let numbers = D::Dictionary(Box::new(D::Int32), Box::new(D::Float64));
        let seconds = D::Timestamp(TimeUnit::Second, None);
        let millis = D::Timestamp(TimeUnit::Millisecond, None);
        for (of, parquet, arrow) in [
            (SPAN, Form::Text, Form::Same),
            (list_of(SPAN), Form::Text, Form::Same),
            (D::Struct(Fields::empty()), Form::Text, Form::Same),
            (D::Decimal128(10, -2), Form::Text, Form::Same),
            (D::Decimal256(76, 2), Form::Same, Form::Same),
            (D::Duration(TimeUnit::Microsecond), Form::Same, Form::Same),
            (words.clone(), Form::Same, Form::As(D::Utf8)),
            (numbers, Form::As(D::Float64), Form::As(D::Float64)),
            (list_of(words.clone()), Form::Same, Form::As(list_of(D::Utf8))),
            (seconds.clone(), Form::As(millis.clone()), Form::Same),
            (list_of(seconds), Form::As(list_of(millis)), Form::Same),
            (D::Utf8, Form::Same, Form::Same),
        ] {
            assert_eq!(Form::in_parquet(&of), parquet, "{of}");
            assert_eq!(Form::in_arrow(&of), arrow, "{of}");
        }
        assert_eq!((Form::in_lines(&list_of(D::Int8)), Form::in_lines(&SPAN)), (Form::Text, Form::Same));
        assert_eq!(Form::in_json(&list_of(D::Int8)), Form::Same);
    }

    /// Two rows; the second is NULL.
    fn spans() -> RecordBatch {
        let spans = || IntervalMonthDayNanoArray::from(vec![Some(IntervalMonthDayNano::new(1, 2, 0)), None]);
        let item = Arc::new(Field::new_list_field(SPAN, true));
        let lists = ListArray::new(item, OffsetBuffer::new(vec![0, 1, 2].into()), Arc::new(spans()), None);
        let columns: [(&str, ArrayRef); 2] = [("span", Arc::new(spans())), ("list", Arc::new(lists))];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    fn rows_of_parquet(content: Vec<u8>) -> Vec<RecordBatch> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content)).unwrap();
        reader.build().unwrap().map(|batch| batch.unwrap()).collect()
    }

    #[test]
    fn intervals_are_texts_in_parquet() {
        let found = rows_of_parquet(bytes(Format::Parquet, TextStyle::default(), &spans()));
        let found = arrow::compute::concat_batches(&found[0].schema(), &found).unwrap();
        let texts = |column: usize| found.column(column).as_string::<i32>().iter().collect::<Vec<_>>();
        // as the shell has it
        let shown = bytes(Format::Csv, TextStyle::default(), &spans());
        let shown = String::from_utf8(shown).unwrap();
        let span = texts(0)[0].unwrap();
        assert!(shown.lines().nth(1).unwrap().starts_with(span) && span.contains("1 mon"), "{shown}");
        assert_eq!(texts(0)[1], None);
        assert_eq!(texts(1), [Some(format!("[\"{span}\"]")).as_deref(), Some("[null]")]);
    }

    #[test]
    fn every_type_has_a_form() {
        let batch = all_types();
        let found = rows_of_parquet(bytes(Format::Parquet, TextStyle::default(), &batch));
        assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), batch.num_rows());
        assert_eq!(found[0].num_columns(), batch.num_columns());
    }

    #[test]
    fn batches_have_dictionaries_of_their_own() {
        let words = |word| {
            let words: DictionaryArray<Int32Type> = [Some(word), None].into_iter().collect();
            RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap()
        };
        let mut out = vec![];
        let mut encoder = Format::Arrow.encoder(&words("a").schema(), TextStyle::default(), &mut out).unwrap();
        encoder.rows(&words("a")).unwrap();
        encoder.rows(&words("b")).unwrap();
        encoder.finish().unwrap();
        let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(out), None).unwrap();
        let found: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
        let texts = found.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter());
        assert_eq!(texts.collect::<Vec<_>>(), [Some("a"), None, Some("b"), None]);
    }
}
