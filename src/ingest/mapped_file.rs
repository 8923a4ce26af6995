//! A file of any other system, as a schema and batches: Parquet, CSV, JSON lines, the latter two also gzipped.
//!
//! In: a path. Out: record batches in the order of the file, only the columns asked for. The schema of a text format is
//! found by reading the whole file, so that no later row can fail to fit it: JSON fields get the type that all their
//! values have; CSV cells stay text, and it is known of each column whether all its cells are numbers.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use flate2::read::MultiGzDecoder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::feed::number;
use crate::feed::text::{Encoding, Utf8Reader};
use crate::{Error, Result};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Rows of a batch of text columns that are only looked at.
const LOOK_ROWS: usize = 4096;

/// A file format that a mapping can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma separated, with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    /// The format that a lower-cased file name's ending says.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".gz").filter(|n| !n.ends_with(".parquet")).unwrap_or(name);
        let ending = Path::new(name).extension()?.to_str()?;
        match ending {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// Its name in the file log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Batches of a file, in its order.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A file whose schema is known.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    format: Format,
    encoding: Encoding,
    /// All columns of the file.
    pub schema: SchemaRef,
    /// For each column of a CSV file the type that all its cells have, where they are numbers.
    pub numbers: Vec<Option<DataType>>,
}

impl MappedFile {
    /// Finds out the schema; reads all of a text file.
    pub fn open(path: &Path, format: Format) -> Result<Self> {
        let encoding = match format {
            Format::Parquet => Encoding::Utf8,
            Format::Csv | Format::Ndjson => Encoding::detect(plain(path)?).map_err(|e| unreadable(&e))?,
        };
        let mut file =
            Self { path: path.to_path_buf(), format, encoding, schema: Arc::new(Schema::empty()), numbers: vec![] };
        file.schema = match format {
            Format::Parquet => file.parquet()?.schema().clone(),
            Format::Csv => file.csv_header()?,
            Format::Ndjson => {
                let inferred = arrow::json::reader::infer_json_schema(BufReader::new(file.text()?), None);
                Arc::new(inferred.map_err(|e| Error::refused(format!("not JSON lines of one shape: {e}")))?.0)
            }
        };
        if let Some(twice) = doubled(&file.schema) {
            return Err(Error::refused(format!("two columns are called {twice}; which one is meant cannot be known")));
        }
        if format == Format::Csv {
            file.numbers = file.find_numbers()?;
        }
        Ok(file)
    }

    /// True where a row may leave out what others have.
    pub fn may_lack_columns(&self) -> bool {
        self.format == Format::Ndjson
    }

    /// The rows, with those columns only (indices of the schema, rising). `read` counts bytes of the file, for progress.
    pub fn batches(&self, columns: &[usize], read: Arc<AtomicU64>) -> Result<Batches> {
        let schema = Arc::new(self.schema.project(columns)?);
        match self.format {
            Format::Parquet => {
                let builder = self.parquet()?;
                let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
                let bytes = std::fs::metadata(&self.path)?.len();
                let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
                let reader =
                    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
                let mut done = 0;
                Ok(Box::new(reader.map(move |batch| {
                    let batch = batch.map_err(|e| damaged(&e))?;
                    done += batch.num_rows() as u64;
                    read.store((u128::from(bytes) * u128::from(done) / u128::from(rows)) as u64, Ordering::Relaxed);
                    Ok(batch)
                })))
            }
            Format::Csv => {
                let input = Utf8Reader::new(Counted { input: plain(&self.path)?, read }, self.encoding);
                let reader = arrow::csv::ReaderBuilder::new(self.schema.clone())
                    .with_header(true)
                    .with_projection(columns.to_vec())
                    .with_batch_size(BATCH_ROWS)
                    .build(input)?;
                Ok(Box::new(reader.map(|batch| batch.map_err(|e| misshapen(&e)))))
            }
            Format::Ndjson => {
                let input = Utf8Reader::new(Counted { input: plain(&self.path)?, read }, self.encoding);
                let reader = arrow::json::ReaderBuilder::new(schema)
                    .with_coerce_primitive(true)
                    .with_batch_size(BATCH_ROWS)
                    .build(BufReader::new(input))?;
                Ok(Box::new(reader.map(|batch| batch.map_err(|e| misshapen(&e)))))
            }
        }
    }

    fn text(&self) -> Result<impl Read + Send + use<>> {
        Ok(Utf8Reader::new(plain(&self.path)?, self.encoding))
    }

    fn parquet(&self) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let file = File::open(&self.path).map_err(|e| unreadable(&e))?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(&e))
    }

    fn csv_header(&self) -> Result<SchemaRef> {
        let format = arrow::csv::reader::Format::default().with_header(true);
        let (header, _) = format.infer_schema(self.text()?, Some(0)).map_err(|e| misshapen(&e))?;
        if header.fields().is_empty() {
            return Err(Error::refused("empty; a CSV file begins with a line of column names"));
        }
        let texts = header.fields().iter().map(|f| Field::new(f.name().trim(), DataType::Utf8, true));
        Ok(Arc::new(Schema::new(texts.collect::<Vec<_>>())))
    }

    fn find_numbers(&self) -> Result<Vec<Option<DataType>>> {
        let mut natures = vec![Nature::Empty; self.schema.fields().len()];
        let reader = arrow::csv::ReaderBuilder::new(self.schema.clone())
            .with_header(true)
            .with_batch_size(LOOK_ROWS)
            .build(self.text()?)?;
        for batch in reader {
            let batch = batch.map_err(|e| misshapen(&e))?;
            for (nature, column) in natures.iter_mut().zip(batch.columns()) {
                let cells = column.as_string::<i32>();
                for row in (0..cells.len()).filter(|&row| cells.is_valid(row)) {
                    if *nature == Nature::Text {
                        break;
                    }
                    *nature = (*nature).max(Nature::of(cells.value(row)));
                }
            }
        }
        let types = natures.into_iter().map(|nature| match nature {
            Nature::Integer => Some(DataType::Int64),
            Nature::Float => Some(DataType::Float64),
            Nature::Empty | Nature::Text => None,
        });
        Ok(types.collect())
    }
}

/// What the cells of a CSV column have in common; the larger one prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nature {
    Empty,
    Integer,
    Float,
    Text,
}

impl Nature {
    fn of(cell: &str) -> Self {
        let digits = cell.strip_prefix('-').unwrap_or(cell);
        // 007 is a code, not a number
        if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
            return Self::Text;
        }
        if digits.bytes().all(|b| b.is_ascii_digit()) && cell.parse::<i64>().is_ok() {
            return Self::Integer;
        }
        // an integer that no i64 holds would lose digits as a float
        match number::parse(cell) {
            Some(_) if !digits.bytes().all(|b| b.is_ascii_digit()) => Self::Float,
            _ => Self::Text,
        }
    }
}

fn plain(path: &Path) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|e| unreadable(&e))?;
    let gzipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let input = BufReader::with_capacity(256 * 1024, file);
    Ok(if gzipped { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) })
}

fn doubled(schema: &Schema) -> Option<&str> {
    let mut names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::refused(format!("cannot be read to its end: {error}"))
}

fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::refused(format!("not a whole Parquet file ({error}); fetch it again"))
}

fn misshapen(error: &arrow::error::ArrowError) -> Error {
    Error::refused(format!("{error}; correct the file and load it again"))
}

/// Counts the bytes that pass.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(Format::of("a.csv.gz"), Some(Format::Csv));
        assert_eq!(Format::of("a.jsonl"), Some(Format::Ndjson));
        assert_eq!(Format::of("a.parquet"), Some(Format::Parquet));
        assert_eq!(Format::of("a.parquet.gz"), None);
        assert_eq!(Format::of("a.tsv.gz"), None);
    }

    #[test]
    fn numbers_of_a_csv_are_those_of_all_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut text = "\u{feff}id,zip,amount,mixed,big\n".to_string();
        for row in 0..10_000 {
            text += &format!("{row},01234,{row}.5,{row},1\n");
        }
        text += "1,99999,,late,18446744073709551615\n";
        std::fs::write(&path, text).unwrap();
        let file = MappedFile::open(&path, Format::Csv).unwrap();
        assert_eq!(file.schema.field(0).name(), "id");
        assert_eq!(file.numbers, [Some(DataType::Int64), None, Some(DataType::Float64), None, None]);
        let rows: usize = file.batches(&[1, 2], Arc::default()).unwrap().map(|b| b.unwrap().num_rows()).sum();
        assert_eq!(rows, 10_001);
    }
}
