//! Rows of a Parquet file of any other system, of whose claims none is believed before it was looked at.
//!
//! In: a file, the columns that are wanted, and those of them whose texts may come as dictionary arrays. Out: batches in its order.
//! Texts that the file has in dictionaries alone come as the numbers of these texts, so that they are not made anew for each row.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{ConvertedType, Encoding, EncodingMask};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::Length;

use super::file_rows::{BATCH_ROWS, FileRows, Visit};
use super::footer::is_sound;
use super::input_file::InputFile;
use super::pages::longest_shared_text;
use crate::distinct_texts::coded_type;
use crate::{Error, Result};

/// The encodings of pages with numbers of texts in a dictionary.
const NUMBERS: [Encoding; 2] = [Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];

/// Bytes of texts that a column of a batch may have, of which Arrow counts 31 bits.
const TEXT_BYTES: usize = 1 << 30;

type Builder = ParquetRecordBatchReaderBuilder<InputFile>;

/// The columns of a file.
pub fn schema(file: &InputFile) -> Result<SchemaRef> {
    Ok(open(file)?.schema().clone())
}

/// Shows the rows of a file with this schema, with those `columns` only; texts of those that are `coded` may come as dictionary
/// arrays. `read` counts bytes of the file, for progress.
pub fn read(
    file: &InputFile,
    schema: &SchemaRef,
    columns: &[usize],
    coded: &[usize],
    read: &AtomicU64,
    visit: Visit<'_>,
) -> Result<()> {
    let builder = with_dictionaries(open(file)?, file, schema, coded);
    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let bytes = file.len();
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
    let large = (TEXT_BYTES / BATCH_ROWS) as u64;
    let Some(longest) = guarded(|| longest_shared_text(file, builder.metadata(), &mask, large))? else {
        return Err(damaged(&"a page claims more than it can hold"));
    };
    let mut reader = guarded(|| builder.with_projection(mask).with_batch_size(batch_rows(longest)).build())?;
    let mut done = 0;
    while let Some(batch) = guarded(|| reader.next().transpose())? {
        let lines = (done + 1..).take(batch.num_rows()).collect();
        done += batch.num_rows() as u64;
        read.store((u128::from(bytes) * u128::from(done) / u128::from(rows)) as u64, Ordering::Relaxed);
        if visit(FileRows { batch, lines, issues: vec![] })?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Rows of a batch, of which each may have a text of so many bytes from a dictionary.
fn batch_rows(longest: usize) -> usize {
    (TEXT_BYTES / longest.max(1)).clamp(1, BATCH_ROWS)
}

fn open(file: &InputFile) -> Result<Builder> {
    match guarded(|| is_sound(file))? {
        true => guarded(|| ParquetRecordBatchReaderBuilder::try_new(file.clone())),
        false => Err(damaged(&"its footer is broken")),
    }
}

/// The same reader, which gives dictionary arrays where these are wanted and all pages of a column are such.
fn with_dictionaries(builder: Builder, file: &InputFile, schema: &SchemaRef, coded: &[usize]) -> Builder {
    let is_coded = |column: usize, field: &Field| {
        field.data_type() == &DataType::Utf8 && coded.contains(&column) && has_dictionaries(builder.metadata(), column)
    };
    let fields = schema.fields().iter().enumerate().map(|(column, field)| match is_coded(column, field) {
        true => Arc::new(field.as_ref().clone().with_data_type(coded_type())),
        false => field.clone(),
    });
    let wanted = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    if wanted.fields() == schema.fields() {
        return builder;
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(wanted));
    match guarded(|| ArrowReaderMetadata::try_new(builder.metadata().clone(), options)) {
        Ok(metadata) => ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata),
        // a file with types that cannot be asked for is read as it is
        Err(_) => builder,
    }
}

/// True where all pages of a column without parts have numbers of texts in a dictionary.
fn has_dictionaries(metadata: &ParquetMetaData, column: usize) -> bool {
    let described = metadata.file_metadata().schema_descr();
    let mut leaves = (0..described.num_columns()).filter(|leaf| described.get_column_root_idx(*leaf) == column);
    let (Some(leaf), None) = (leaves.next(), leaves.next()) else { return false };
    let is_only = |mask: &EncodingMask| NUMBERS.iter().any(|encoding| mask.is_only(*encoding));
    let has_dictionary = |chunk: &ColumnChunkMetaData| {
        chunk.dictionary_page_offset().is_some() && chunk.page_encoding_stats_mask().is_some_and(is_only)
    };
    described.column(leaf).converted_type() == ConvertedType::UTF8
        && metadata.row_groups().iter().all(|group| has_dictionary(group.column(leaf)))
}

/// What a reader of Parquet gives. It ends in a panic where a file that is damaged leads it astray; the file is refused then, and
/// others go on.
fn guarded<T, E: Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|e| damaged(&e)),
        Err(_) => Err(damaged(&"its pages are broken")),
    }
}

fn damaged(error: &dyn Display) -> Error {
    Error::refused(format!("not a whole Parquet file ({error}); fetch it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_long_texts_have_few_rows() {
        assert_eq!((batch_rows(0), batch_rows(100_000), batch_rows(1 << 20)), (BATCH_ROWS, BATCH_ROWS, 1024));
        assert_eq!((batch_rows(TEXT_BYTES), batch_rows(usize::MAX)), (1, 1));
    }
}
