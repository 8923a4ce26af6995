//! Parquet and Arrow IPC files, with columns in forms that these have.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::encoder::Encoder;
use super::forms::{FileColumns, Form};
use crate::Result;

/// Writes one Parquet file.
pub struct ParquetFile<'a> {
    held: FileColumns,
    writer: ArrowWriter<&'a mut (dyn Write + Send)>,
}

impl<'a> ParquetFile<'a> {
    /// Starts the file.
    pub fn new(schema: &SchemaRef, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("rejoin ", env!("CARGO_PKG_VERSION")).to_string())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .build();
        let held = FileColumns::new(schema, Form::in_parquet);
        Ok(Self { writer: ArrowWriter::try_new(out, held.schema.clone(), Some(properties))?, held })
    }
}

impl Encoder for ParquetFile<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(&self.held.rows(batch)?)?)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.writer.close()?;
        Ok(())
    }
}

/// Writes one Arrow IPC file.
pub struct ArrowFile<'a> {
    held: FileColumns,
    writer: FileWriter<&'a mut (dyn Write + Send)>,
}

impl<'a> ArrowFile<'a> {
    /// Starts the file.
    pub fn new(schema: &SchemaRef, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        let held = FileColumns::new(schema, Form::in_arrow);
        Ok(Self { writer: FileWriter::try_new(out, &held.schema)?, held })
    }
}

impl Encoder for ArrowFile<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(&self.held.rows(batch)?)?)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        Ok(self.writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;

    use super::super::samples::{bytes, empty, hostile};
    use super::super::{Format, TextStyle};

    #[test]
    fn files_read_back() {
        for batch in [hostile(), empty()] {
            let parquet = bytes(Format::Parquet, TextStyle::default(), &batch);
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes_of(parquet));
            let rows: usize = reader.unwrap().build().unwrap().map(|b| b.unwrap().num_rows()).sum();
            assert_eq!(rows, batch.num_rows());
            let arrow = bytes(Format::Arrow, TextStyle::default(), &batch);
            let reader = arrow::ipc::reader::FileReader::try_new(Cursor::new(arrow), None).unwrap();
            assert_eq!(reader.map(|b| b.unwrap().num_rows()).sum::<usize>(), batch.num_rows());
        }
    }

    fn bytes_of(content: Vec<u8>) -> std::fs::File {
        use std::io::{Seek, Write};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        file.rewind().unwrap();
        file
    }
}
