//! A file of any other system, as a schema and rows: Parquet, delimited text, JSON, the latter two also packed.
//!
//! In: a path, and how the file is written. Out: batches in the order of the file, only the columns asked for, and the rows
//! that are none. What the columns of a text hold is found by reading the whole file, so that no later row can fail to
//! fit it. Folders whose names say values (`dt=2026-09-01`) are columns, too; a list can be taken apart into rows.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::column_names::{as_wanted, doubled};
use super::delimited::Delimited;
use super::delimited_rows::{DelimitedFile, InferredType};
use super::file_rows::{FileRows, Visit};
use super::input_file::{CountingReader, InputFile};
use super::json_elements::{ListPath, advice};
use super::json_rows::JsonFile;
use super::json_shape::Wanted;
use super::parquet_rows;
use super::pattern::{FolderValue, folder_values};
use super::taken_apart::{list_item, taken_apart};
use super::unpack::unpacked;
use crate::distinct_texts::as_they_come;
use crate::error::did_you_mean;
use crate::feed::packing::without_packing;
use crate::feed::row_issue::clip;
use crate::feed::text::{Encoding, Utf8Reader};
use crate::{Error, Result};

/// A file format that a mapping can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Delimited text, a row a line.
    Csv,
    /// JSON objects, one a line or in an array.
    Ndjson,
}

impl Format {
    /// The format that a lower-cased file name's ending says.
    pub fn of(name: &str) -> Option<Self> {
        let name = Some(without_packing(name)).filter(|n| !n.ends_with(".parquet")).unwrap_or(name);
        let ending = Path::new(name).extension()?.to_str()?;
        match ending {
            "parquet" => Some(Self::Parquet),
            "csv" | "tsv" | "tab" | "psv" => Some(Self::Csv),
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

/// How a file is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its format.
    pub format: Format,
    /// The encoding that it has by its bytes, where that is known already.
    pub encoding: Option<Encoding>,
    /// How a delimited text is written.
    pub delimited: Delimited,
    /// What is wanted of JSON.
    pub wanted: Wanted,
    /// The list of JSON whose elements are the rows.
    pub rows: Option<ListPath>,
    /// The list of which each element is a row.
    pub unnest: Option<String>,
}

impl Reading {
    /// All of a file, written as usual.
    pub fn everything(format: Format) -> Self {
        let (delimited, wanted) = (Delimited::default(), Wanted::everything());
        Self { format, encoding: None, delimited, wanted, rows: None, unnest: None }
    }
}

/// A file whose columns are known.
#[derive(Debug)]
pub struct MappedFile {
    file: InputFile,
    encoding: Encoding,
    content: Content,
    /// Columns of the file itself, before a list is taken apart.
    stored: SchemaRef,
    /// What the folders above it say.
    folders: Vec<FolderValue>,
    unnest: Option<usize>,
    /// Columns of which texts may be read as dictionary arrays.
    coded: Vec<usize>,
    /// All columns.
    pub schema: SchemaRef,
    /// For each column of text the type that all its cells have, where they are numbers.
    pub numbers: Vec<Option<DataType>>,
}

#[derive(Debug)]
enum Content {
    /// With its columns, as they are called there.
    Parquet(SchemaRef),
    Delimited(DelimitedFile),
    Json(JsonFile),
}

impl MappedFile {
    /// Finds out the columns; reads all of a text file.
    pub fn open(file: InputFile, reading: Reading) -> Result<Self> {
        let Reading { format, encoding, delimited, wanted, rows, unnest } = reading;
        let encoding = match (format, delimited.encoding.or(encoding)) {
            (Format::Parquet, _) => Encoding::Utf8,
            (_, Some(known)) => known,
            (_, None) => Encoding::detect(unpacked(&file)?).map_err(|e| unreadable(&e))?,
        };
        let mut folders = folder_values(&file.place());
        let open = || text(&file, encoding);
        let (content, stored, mut numbers) = match format {
            Format::Parquet => {
                let stored = parquet_rows::schema(&file)?;
                let numbers = vec![None; stored.fields().len()];
                (Content::Parquet(stored.clone()), stored, numbers)
            }
            Format::Csv => {
                let content = DelimitedFile::look(open, delimited, usual_delimiter(&file))?;
                let numbers = content.find_numbers(open()?)?;
                let stored = content.schema();
                (Content::Delimited(content), stored, numbers)
            }
            Format::Ndjson => {
                let mut content = JsonFile::look(open, rows, wanted.clone(), &folders)?;
                let empty = unnest.as_deref().filter(|list| content.hold_empty_list(list));
                let stored = empty.map_or_else(|| content.schema(), |list| with_empty_list(&content.schema(), list));
                let numbers = vec![None; stored.fields().len()];
                (Content::Json(content), stored, numbers)
            }
        };
        if let Some(twice) = doubled(stored.fields().iter().map(|field| field.name().as_str())) {
            let twice = if twice.is_empty() { "\"\"" } else { clip(twice, 60) };
            let next = match format {
                Format::Csv => "; where the first line has no names, a mapping says header = false and columns = [...]",
                _ => "",
            };
            return Err(Error::refused(format!(
                "two columns are called {twice}; which one is meant cannot be known{next}"
            )));
        }
        let of_file = stored.fields().iter().map(|field| field.name());
        let mut names = as_wanted(of_file.chain(folders.iter().map(|(name, _)| name)).cloned().collect(), &wanted)?;
        for ((name, _), wanted) in folders.iter_mut().zip(names.split_off(stored.fields().len())) {
            *name = wanted;
        }
        let named = stored.fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name));
        let stored = Arc::new(Schema::new(named.collect::<Vec<_>>()));
        let unnest = unnest.map(|name| list_column(&stored, &name)).transpose()?;
        let fields = stored.fields().iter().enumerate().map(|(index, field)| match (unnest, list_item(field)) {
            (Some(list), Some(item)) if list == index => Field::new(field.name(), item.clone(), true),
            _ => field.as_ref().clone(),
        });
        let mut fields: Vec<Field> = fields.collect();
        folders.retain(|(name, _)| stored.index_of(name).is_err());
        fields.extend(folders.iter().map(|(name, _)| Field::new(name, DataType::Utf8, true)));
        numbers.extend(folders.iter().map(|(_, value)| InferredType::of(value).number()));
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { file, encoding, content, stored, folders, unnest, coded: vec![], schema, numbers })
    }

    /// Lets the texts of some columns (indices of the schema) be read as dictionary arrays, where the file has them as such.
    pub fn with_codes_of(self, columns: Vec<usize>) -> Self {
        Self { coded: columns, ..self }
    }

    /// True where a row may leave out what others have.
    pub fn may_lack_columns(&self) -> bool {
        matches!(self.content, Content::Json(_))
    }

    /// True where some row has a value at this path, as far as the format lets one know.
    pub fn has(&self, path: &[String]) -> bool {
        match &self.content {
            Content::Json(json) => {
                // where nothing is to be taken apart, nothing lacks a part
                let is_apart = self.unnest.is_some_and(|list| *self.stored.field(list).name() == path[0]);
                json.has(path)
                    || json.is_empty_list()
                    || self.folders.iter().any(|(name, _)| *name == path[0])
                    || is_apart && !json.has_element(&path[0])
            }
            _ => true,
        }
    }

    /// A sign that separates the first line of a delimited text better than the one that is used.
    pub fn likely_delimiter(&self) -> Option<&'static str> {
        match &self.content {
            Content::Delimited(delimited) => delimited.likely_delimiter,
            _ => None,
        }
    }

    /// The lists in a file of JSON that is one object, which may have the rows.
    pub fn lists(&self) -> &[ListPath] {
        match &self.content {
            Content::Json(json) => json.lists(),
            _ => &[],
        }
    }

    /// What to say of a column that is not there: the likely name, and what there is.
    pub fn lacks(&self, name: &str) -> String {
        format!("{}{}", self.likely(name), advice(self.lists()))
    }

    fn likely(&self, name: &str) -> String {
        let mut names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        if let Content::Json(json) = &self.content {
            names.retain(|name| self.has(&[name.to_string()]));
            if json.names().any(|other| other == name) && !names.contains(&name) {
                return "; where rows name it, it is null or empty".into();
            }
            names.extend(json.names());
            names.sort_unstable();
            names.dedup();
        }
        if let Some(likely) = self.likely_delimiter() {
            return format!("; its first line looks like one with delimiter = \"{likely}\"");
        }
        if names.is_empty() {
            return match &self.content {
                Content::Json(json) if json.has_no_object() && !json.lists().is_empty() => String::new(),
                Content::Json(json) if json.has_no_object() => {
                    "; each row is one JSON object on a line of its own, or in an array, and no line here is one: `jq -c .` \
                     writes objects so"
                        .into()
                }
                _ => "; it has no row".into(),
            };
        }
        // without a line of names these are cells, which may be long and personal
        let some = names.iter().take(30).map(|name| clip(name, 40)).collect::<Vec<_>>().join(", ");
        let others = names.iter().copied().filter(|other| *other != name);
        let seen = |name: &str| name.chars().filter(|c| !is_hidden(*c)).collect::<String>();
        if let Some(alike) = others.clone().find(|other| seen(other) == seen(name)) {
            return format!("; it has {:?}, which differs in spaces or signs that are not seen", clip(alike, 60));
        }
        format!("{} (it has {})", did_you_mean(name, others), clip(&some, 400))
    }

    /// Shows the rows, with those columns only (indices of the schema, rising). `read` counts bytes of the file, for
    /// progress.
    pub fn read(&self, columns: &[usize], read: Arc<AtomicU64>, visit: Visit<'_>) -> Result<()> {
        let stored: Vec<usize> = columns.iter().copied().filter(|c| *c < self.stored.fields().len()).collect();
        let schema = Arc::new(self.schema.project(columns)?);
        // a list that is taken apart decides how many rows there are, also where none of its elements is wanted
        let (mut needed, list) = (stored.clone(), self.unnest);
        needed.extend(list.filter(|list| !stored.contains(list)));
        needed.sort_unstable();
        let mut show = |rows: FileRows| {
            let kept: Vec<usize> = stored.iter().filter_map(|c| needed.iter().position(|n| n == c)).collect();
            let count = rows.batch.num_rows();
            let constants = columns.iter().filter_map(|c| self.folders.get(c.checked_sub(self.stored.fields().len())?));
            let constants = constants.map(|(_, value)| {
                let value = Some(value.as_str()).filter(|value| !value.is_empty());
                Arc::new(std::iter::repeat_n(value, count).collect::<StringArray>()) as ArrayRef
            });
            let arrays: Vec<ArrayRef> = kept.iter().map(|i| rows.batch.column(*i).clone()).chain(constants).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            let batch = RecordBatch::try_new_with_options(as_they_come(&schema, &arrays), arrays, &options)?;
            visit(FileRows { batch, ..rows })
        };
        let list = list.and_then(|list| needed.iter().position(|c| *c == list));
        let mut rows = |rows: FileRows| match list {
            Some(list) => taken_apart(rows, list, &mut show),
            None => show(rows),
        };
        self.read_stored(&needed, read, &mut rows)
    }

    fn read_stored(&self, columns: &[usize], read: Arc<AtomicU64>, visit: Visit<'_>) -> Result<()> {
        let schema = Arc::new(self.stored.project(columns)?);
        let input = || -> Result<Utf8Reader<_>> {
            let counted = CountingReader { input: unpacked(&self.file)?, counter: read.clone() };
            Ok(Utf8Reader::new(counted, self.encoding))
        };
        match &self.content {
            Content::Delimited(delimited) => delimited.read(input()?, columns, &schema, visit),
            Content::Json(json) => json.read(input()?, &schema, visit),
            Content::Parquet(stored) => parquet_rows::read(&self.file, stored, columns, &self.coded, &read, visit),
        }
    }
}

/// The sign that separates the fields of a file with such a name.
fn usual_delimiter(file: &InputFile) -> u8 {
    let name = file.name().to_lowercase();
    match Path::new(without_packing(&name)).extension().and_then(|e| e.to_str()) {
        Some("tsv" | "tab") => b'\t',
        Some("psv") => b'|',
        _ => b',',
    }
}

/// The column of this name, which must be a list.
fn list_column(schema: &Schema, name: &str) -> Result<usize> {
    let shown = clip(name, 80);
    let index = schema.index_of(name).map_err(|_| {
        let names = schema.fields().iter().map(|f| f.name().as_str());
        Error::refused(format!(
            "mapping unnest = {shown:?}: the file has no column {shown}{}",
            did_you_mean(name, names)
        ))
    })?;
    match list_item(schema.field(index)) {
        Some(_) => Ok(index),
        None if schema.field(index).data_type().is_null() => {
            Err(Error::refused(format!("mapping unnest = {shown:?}: no row of the file has {shown}")))
        }
        None => Err(Error::refused(format!(
            "mapping unnest = {shown:?}: the column is a {}, and only a list has elements",
            clip(&schema.field(index).data_type().to_string(), 80)
        ))),
    }
}

/// Columns of which this one is a list of nothing, which fits wherever something of an element is named.
fn with_empty_list(schema: &Schema, name: &str) -> SchemaRef {
    let nothing = Field::new_list_field(DataType::Null, true);
    let fields = schema.fields().iter().map(|field| match field.name() == name {
        true => Arc::new(Field::new_list(name, nothing.clone(), true)),
        false => field.clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn text(file: &InputFile, encoding: Encoding) -> Result<Box<dyn Read + Send>> {
    Ok(Box::new(Utf8Reader::new(unpacked(file)?, encoding)))
}

/// True for spaces and for what has no width: two names with others of them look the same.
fn is_hidden(sign: char) -> bool {
    sign.is_whitespace() || matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::refused(format!("cannot be read to its end: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ops::ControlFlow;

    use arrow::array::{AsArray, Int64Array};
    use arrow::compute::cast;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::distinct_texts::coded_type;

    #[test]
    fn formats() {
        assert_eq!(Format::of("a.csv.gz"), Some(Format::Csv));
        assert_eq!(Format::of("a.jsonl"), Some(Format::Ndjson));
        assert_eq!(Format::of("a.parquet"), Some(Format::Parquet));
        assert_eq!(Format::of("a.parquet.gz"), None);
        assert_eq!((Format::of("a.parquet.zst"), Format::of("a.json.zst")), (None, Some(Format::Ndjson)));
        assert_eq!(Format::of("a.tsv.gz"), Some(Format::Csv));
        assert_eq!(Format::of("a.txt"), None);
    }

    fn file(name: &str, text: &str) -> (tempfile::TempDir, InputFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        (folder, InputFile::alone(&path))
    }

    /// Rows and rejected lines.
    fn read(file: &MappedFile, columns: &[usize]) -> (Vec<RecordBatch>, Vec<(u64, String)>) {
        let (mut batches, mut issues) = (vec![], vec![]);
        file.read(columns, Arc::default(), &mut |rows| {
            assert_eq!(rows.batch.num_rows(), rows.lines.len());
            issues.extend(rows.issues.into_iter().map(|i| (i.line, i.reason)));
            batches.push(rows.batch);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        (batches, issues)
    }

    /// Texts that a file has in dictionaries come as such where that is wanted, over row groups and folders as well, and are the same.
    #[test]
    fn texts_stay_in_their_dictionaries() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dt=2026-09-01/a.parquet");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = |of: fn(usize) -> Option<String>| Arc::new((0..30_000).map(of).collect::<StringArray>()) as ArrayRef;
        let columns = [
            ("few", text(|row| Some(format!("page {}", row % 40)))),
            ("some", text(|row| row.is_multiple_of(3).then(|| format!("é{}", row % 500)))),
            ("none", text(|_| None)),
            ("many", text(|row| Some(format!("visitor {row}")))),
            ("number", Arc::new(Int64Array::from_iter_values(0..30_000)) as ArrayRef),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        // no row group ends where a batch does
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10_000));
        let properties = properties.set_dictionary_page_size_limit(20_000).build();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let open = || MappedFile::open(InputFile::alone(&path), Reading::everything(Format::Parquet)).unwrap();
        let all = [0, 1, 2, 3, 4, 5];
        let (expected, _) = read(&open(), &all);
        let (found, _) = read(&open().with_codes_of(all.to_vec()), &all);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let is_coded = |column: usize| found.column(column).data_type() == &coded_type();
            assert_eq!(all.map(is_coded)[..2], [true, true]);
            assert_eq!(all.map(is_coded)[3..], [false, false, false]);
            for (found, expected) in found.columns().iter().zip(expected.columns()) {
                assert_eq!(&cast(found, expected.data_type()).unwrap(), expected);
            }
        }
        // those that are wanted, of those that are read
        let (some, _) = read(&open().with_codes_of(vec![1]), &[0, 1]);
        assert!(some.iter().all(|rows| rows.column(0).data_type() == &DataType::Utf8));
        assert!(some.iter().all(|rows| rows.column(1).data_type() == &coded_type()));
    }

    #[test]
    fn numbers_of_a_csv_are_those_of_all_rows() {
        let mut text = "\u{feff}id,zip,amount,mixed,big\n".to_string();
        for row in 0..10_000 {
            text += &format!("{row},01234,{row}.5,{row},1\n");
        }
        text += "1,99999,,late,18446744073709551615\n";
        let (_folder, input) = file("a.csv", &text);
        let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
        assert_eq!(file.schema.field(0).name(), "id");
        assert_eq!(file.numbers, [Some(DataType::Int64), None, Some(DataType::Float64), None, None]);
        let (batches, issues) = read(&file, &[1, 2]);
        assert_eq!((batches.iter().map(RecordBatch::num_rows).sum::<usize>(), issues.len()), (10_001, 0));
    }

    #[test]
    fn ragged_rows_are_bad_rows() {
        let (_folder, input) = file("a.tsv", "a\tb\n1\t\"x\ny\"\n2\n\t\t\n3\t4\t5\n6\t7\n");
        let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
        let (batches, issues) = read(&file, &[0]);
        assert_eq!(batches[0].column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["1", "6"]);
        assert_eq!(issues, [(4, "1 fields, expected 2".into()), (6, "3 fields, expected 2".into())]);
    }

    #[test]
    fn separators_at_the_end_of_lines_are_no_fields() {
        for (name, text, columns, cells, bad) in [
            ("a.csv", "a,b\n1,2,\n3,4\n5,6,,\n7,8,9\n10\n", 2, vec!["2", "4", "6"], vec![5, 6]),
            ("b.csv", "a,b,\n1,2,\n3,4\n5,6,x\n7\n", 2, vec!["2", "4", "6"], vec![5]),
            ("c.csv", "a,b,,\n1,2,,\n3,4,,,\n5,6,,,x\n", 2, vec!["2", "4"], vec![4]),
            ("d.csv", "a,b,,d\n1,2,x,3\n", 4, vec!["2"], vec![]),
            ("e.csv", ",b\n1,2\n", 2, vec!["2"], vec![]),
        ] {
            let (_folder, input) = file(name, text);
            let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
            assert_eq!(file.schema.fields().len(), columns, "{name}");
            let (batches, issues) = read(&file, &[1]);
            assert_eq!(batches[0].column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), cells, "{name}");
            assert_eq!(issues.iter().map(|(line, _)| *line).collect::<Vec<_>>(), bad, "{name}");
        }
        let (_folder, input) = file("f.csv", ",a,,b\n1,2,3,4\n");
        let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
        let names: Vec<_> = file.schema.fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["column 1", "a", "column 3", "b"]);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let packed = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, bytes).unwrap();
            gzip.finish().unwrap()
        };
        for (bytes, kind) in [
            (packed(&packed(b"a,b\n1,2\n")), "packed twice"),
            (b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(), "save the sheet as CSV"),
            (b"PAR1\x15\x04\x15\x10".to_vec(), "end its name in .parquet"),
            (b"BZh91AY&SY\xa9".to_vec(), "a bzip2 file"),
            (zstd::encode_all(&b"\x28\xb5\x2f\xfd\x04\x58"[..], 1).unwrap(), "packed twice"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.csv");
            std::fs::write(&path, &bytes).unwrap();
            let error = MappedFile::open(InputFile::alone(&path), Reading::everything(Format::Csv)).unwrap_err();
            assert!(error.to_string().contains(kind), "{error}");
        }
    }

    #[test]
    fn a_spreadsheet_says_its_delimiter() {
        for (name, text) in [
            ("a.csv", "\u{feff}sep=;\r\nuser;amount\r\nu1;1,5\r\nu2\r\n"),
            ("b.csv", "SEP=,\nuser,amount\nu1,\"1,5\"\nu2\n"),
            ("c.csv", "\"sep=|\"\nuser|amount\nu1|1,5\nu2\n"),
            ("d.tsv", "sep=\t\nuser\tamount\nu1\t1,5\nu2\n"),
        ] {
            let (_folder, input) = file(name, text);
            let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
            assert_eq!(file.schema.field(1).name(), "amount", "{name}");
            let (batches, issues) = read(&file, &[1]);
            assert_eq!(batches[0].column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["1,5"], "{name}");
            assert_eq!(issues, [(4, "1 fields, expected 2".to_string())], "{name}");
        }
        // the name of a column
        let (_folder, input) = file("e.csv", "sep=id,user\n1,u1\n");
        assert_eq!(MappedFile::open(input, Reading::everything(Format::Csv)).unwrap().schema.fields().len(), 2);
    }

    #[test]
    fn names_that_look_the_same() {
        let (_folder, input) = file("a.csv", "Sale\u{a0}Date,Sale  Time,\u{200b}Receipt No,Amount\n1,2,3,4\n");
        let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
        for (name, said) in [
            ("Sale Date", "it has \"Sale\\u{a0}Date\""),
            ("Sale Time", "it has \"Sale  Time\""),
            ("Receipt No", "it has \"\\u{200b}Receipt No\""),
            ("amount", "did you mean Amount?"),
        ] {
            assert!(file.lacks(name).contains(said), "{name}: {}", file.lacks(name));
        }
    }

    #[test]
    fn folders_are_columns() {
        let (_folder, input) = file("dt=2026-09-01/n=7/a.csv", "a,dt\n1,x\n");
        let file = MappedFile::open(input, Reading::everything(Format::Csv)).unwrap();
        let names: Vec<_> = file.schema.fields().iter().map(|f| f.name().as_str()).collect();
        // what the file says itself comes first
        assert_eq!(names, ["a", "dt", "n"]);
        assert_eq!(file.numbers, [Some(DataType::Int64), None, Some(DataType::Int64)]);
        let (batches, _) = read(&file, &[1, 2]);
        assert_eq!(
            (batches[0].column(0).as_string::<i32>().value(0), batches[0].column(1).as_string::<i32>().value(0)),
            ("x", "7")
        );
    }

    #[test]
    fn json_of_many_shapes() {
        let lines = "{\"u\":1,\"p\":{\"a\":1}}\n\n{\"u\":\"x\",\"p\":7}\n{broken\n[1]\n{\"u\":null} x\n{\"u\":[1,2]}\n";
        let mut wanted = Wanted::default();
        wanted.add(["u"]);
        wanted.add(["p", "a"]);
        wanted.add(["p", "b"]);
        let reading = Reading { wanted, ..Reading::everything(Format::Ndjson) };
        let (_folder, input) = file("a.ndjson", lines);
        let json = MappedFile::open(input, reading.clone()).unwrap();
        assert!(json.has(&["p".into(), "a".into()]) && !json.has(&["p".into(), "b".into()]));
        let (batches, issues) = read(&json, &[1]);
        assert_eq!(
            batches[0].column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
            ["1", "x", "1--**--2"]
        );
        assert_eq!(issues.iter().map(|i| i.0).collect::<Vec<_>>(), [4, 5, 6]);
        assert!(issues.iter().all(|i| !i.1.contains("broken") && !i.1.contains('x')), "{issues:?}");
        let (_folder, input) = file("a.json", " [{\"u\":1},\n 5, {\"u\":2}]\n");
        let array = MappedFile::open(input, reading.clone()).unwrap();
        let (batches, issues) = read(&array, &[1]);
        assert_eq!((batches[0].num_rows(), issues), (2, vec![(2, "no JSON object".to_string())]));
        let (_folder, input) = file("b.json", "[{\"u\":1},\n{\"u\":\"secret]\n");
        let error = MappedFile::open(input, reading).unwrap_err().to_string();
        assert!(error.contains("line ") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_page_that_claims_too_much() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; 5000]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(false);
        let mut writer = ArrowWriter::try_new(vec![], batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        let mut bytes = writer.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            let path = folder.path().join("a.parquet");
            std::fs::write(&path, bytes).unwrap();
            let file = MappedFile::open(InputFile::alone(&path), Reading::everything(Format::Parquet)).unwrap();
            let mut rows = 0;
            file.read(&[0], Arc::default(), &mut |some| {
                rows += some.batch.num_rows();
                Ok(ControlFlow::Continue(()))
            })
            .map(|()| rows)
        };
        assert_eq!(read(&bytes).unwrap(), 5000);
        // what the first page becomes unpacked, 40,000 bytes: in three bytes, and so is a million
        assert_eq!(bytes[4..7], [0x15, 0, 0x15]);
        bytes[7..10].copy_from_slice(&[0xfe, 0xff, 0x7f]);
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("a page claims more than it can hold"), "{error}");
    }

    #[test]
    fn a_list_is_taken_apart() {
        let lines = "{\"v\":1,\"actions\":[{\"p\":\"a\"},{\"p\":\"b\"}]}\n{\"v\":2,\"actions\":[]}\n{\"v\":3}\n{\"v\":4,\"actions\":[{}]}\n";
        let (_folder, input) = file("a.ndjson", lines);
        let reading = Reading { unnest: Some("actions".into()), ..Reading::everything(Format::Ndjson) };
        let json = MappedFile::open(input, reading).unwrap();
        let (batches, _) = read(&json, &[1]);
        assert_eq!(batches[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().values(), &[1, 1, 4]);
        let (batches, _) = read(&json, &[0, 1]);
        let pages = batches[0].column(0).as_struct().column(0).as_string::<i32>().clone();
        assert_eq!(pages.iter().collect::<Vec<_>>(), [Some("a"), Some("b"), None]);
        // no row has an element, and one has an empty text in the place of the list
        let (_folder, input) = file("b.ndjson", "{\"v\":1,\"actions\":[]}\n{\"v\":2,\"actions\":\"\"}\n");
        let reading = Reading { unnest: Some("actions".into()), ..Reading::everything(Format::Ndjson) };
        let json = MappedFile::open(input, reading).unwrap();
        assert_eq!(json.schema.field(0).data_type(), &DataType::Null);
        let (batches, issues) = read(&json, &[0, 1]);
        assert_eq!((batches.iter().map(RecordBatch::num_rows).sum::<usize>(), issues.len()), (0, 0));
        let (_folder, input) = file("a.csv", "actions\n1\n");
        let reading = Reading { unnest: Some("actions".into()), ..Reading::everything(Format::Csv) };
        assert!(MappedFile::open(input, reading).unwrap_err().to_string().contains("only a list"));
    }
}
