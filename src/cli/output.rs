//! Where results go: stdout, or a file that appears when it is complete. The only door to stdout.
//!
//! A reader that closes the pipe early is no failure: [`reader_left`] tells it from other errors.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;

use super::{progress, terminal};
use crate::engine::Running;
use crate::format::{Expanded, Format, TextStyle};
use crate::shell::Printer;
use crate::{Error, Result};

/// Set when a write to stdout found nobody reading.
static READER_LEFT: AtomicBool = AtomicBool::new(false);

/// True when stdout was closed by its reader, so that the error that followed is none.
pub fn reader_left() -> bool {
    READER_LEFT.load(Ordering::Relaxed)
}

/// A line on stderr, for a person.
pub fn note(text: impl AsRef<str>) {
    // there is nobody left to tell when stderr fails
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// Prints results, one after another.
pub struct Output {
    sink: Sink,
    format: Format,
    text_style: TextStyle,
    binary_results: usize,
    /// Tables on a terminal go through a pager.
    pager: bool,
}

impl Output {
    /// To stdout.
    pub fn stdout(format: Format) -> Self {
        let text_style = terminal::text_style();
        Self { sink: Sink::Stdout(BufWriter::new(io::stdout())), format, text_style, binary_results: 0, pager: false }
    }

    /// To a file, which appears at [`close`](Self::close), or to stdout.
    pub fn open(format: Format, path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            if format.is_binary() && io::stdout().is_terminal() {
                return Err(Error::usage(format!("{format} is nothing for a terminal; give -o FILE")));
            }
            return Ok(Self::stdout(format));
        };
        Ok(Self { sink: Sink::file(path)?, format, text_style: TextStyle::default(), binary_results: 0, pager: false })
    }

    /// Prints a missing value so in tables.
    pub fn with_null(mut self, null: &'static str) -> Self {
        self.text_style.null = Some(null);
        self
    }

    /// A line of text.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        writeln!(self.sink, "{}", text.as_ref())?;
        Ok(())
    }

    /// One JSON document.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::bug(format!("report: {e}")))?;
        self.line(text)
    }

    /// A small result that is at hand.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut encoder = self.format.encoder(&batch.schema(), self.text_style, &mut self.sink)?;
        encoder.rows(batch)?;
        encoder.finish()
    }

    /// A result while it is computed; the number of its rows. A statement without columns (SET) prints nothing.
    pub async fn stream(&mut self, schema: &SchemaRef, mut rows: SendableRecordBatchStream) -> Result<u64> {
        if schema.fields().is_empty() {
            while rows.next().await.transpose()?.is_some() {}
            return Ok(0);
        }
        if self.format.is_binary() {
            self.binary_results += 1;
            if self.binary_results > 1 {
                let format = self.format;
                return Err(Error::usage(format!("a {format} file holds one result, this is the second")));
            }
        }
        let mut count = 0;
        // the first batch is awaited before anything is printed, so that most errors leave no half a document
        let mut next = rows.next().await.transpose()?;
        let mut encoder = self.format.encoder(schema, self.text_style, &mut self.sink)?;
        while let Some(batch) = next {
            count += batch.num_rows() as u64;
            encoder.rows(&batch)?;
            next = rows.next().await.transpose()?;
        }
        encoder.finish()?;
        self.sink.flush()?;
        Ok(count)
    }

    /// Shows what stdout has got; a file that is not complete goes away.
    pub fn abandon(mut self) {
        if let Sink::Stdout(out) = &mut self.sink {
            // the error that led here is the one to tell
            let _ = out.flush();
        }
    }

    /// Writes out what is buffered and makes the file appear.
    pub fn close(self) -> Result<()> {
        self.sink.close()
    }
}

#[async_trait]
impl Printer for Output {
    async fn print(&mut self, running: Running) -> Result<u64> {
        let running = if self.format == Format::Table { running.by_line() } else { running };
        let Running { schema, mut rows, plan } = running.on_threads(&Handle::current(), None);
        // what a person waits for is the first batch
        let first = progress::of_query(plan, rows.next()).await;
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), stream::iter(first).chain(rows)));
        let paging = self.pager && self.format == Format::Table && self.text_style.terminal.is_some();
        if !paging || schema.fields().is_empty() || !matches!(self.sink, Sink::Stdout(_)) {
            return self.stream(&schema, rows).await;
        }
        let Some(pager) = terminal::pager() else { return self.stream(&schema, rows).await };
        self.sink.flush()?;
        let stdout = std::mem::replace(&mut self.sink, Sink::Pager(pager));
        // lines go to the pager whole, it scrolls sideways
        let text_style = self.text_style;
        self.text_style = TextStyle { colour: false, terminal: None, ..text_style };
        let result = self.stream(&schema, rows).await;
        self.text_style = text_style;
        std::mem::replace(&mut self.sink, stdout).close()?;
        result
    }

    fn table(&mut self, batch: &RecordBatch) -> Result<()> {
        let format = std::mem::replace(&mut self.format, Format::Table);
        let result = self.batch(batch).and_then(|()| Ok(self.sink.flush()?));
        self.format = format;
        result
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.line(text)?;
        Ok(self.sink.flush()?)
    }

    fn set_format(&mut self, name: &str) -> Result<()> {
        let Some(format) = Format::named(name) else {
            let names = Format::ALL.map(|f| f.to_string());
            let hint = crate::error::did_you_mean(name, names.iter().map(String::as_str));
            return Err(Error::usage(format!("no format {name}{hint} (formats: {})", names.join(", "))));
        };
        if format.is_binary() && self.text_style.terminal.is_some() {
            return Err(Error::usage(format!("{format} is nothing for a terminal; say \\o FILE before")));
        }
        self.format = format;
        Ok(())
    }

    fn set_file(&mut self, path: Option<&Path>) -> Result<()> {
        let next = match path {
            Some(path) => Sink::file(path)?,
            None => Sink::Stdout(BufWriter::new(io::stdout())),
        };
        let TextStyle { expanded, null, .. } = self.text_style;
        self.text_style =
            TextStyle { expanded, null, ..if path.is_some() { TextStyle::default() } else { terminal::text_style() } };
        self.binary_results = 0;
        if path.is_none() && self.format.is_binary() && self.text_style.terminal.is_some() {
            self.format = Format::Table;
        }
        std::mem::replace(&mut self.sink, next).close()
    }

    fn set_expanded(&mut self, expanded: Option<Expanded>) -> Expanded {
        let other = match self.text_style.expanded {
            Expanded::Off | Expanded::Needed => Expanded::On,
            Expanded::On | Expanded::Auto => Expanded::Off,
        };
        self.text_style.expanded = expanded.unwrap_or(other);
        self.text_style.expanded
    }

    fn set_null(&mut self, null: &str) {
        // a style is copied everywhere; a session has a handful of these at most
        self.text_style.null = Some(Box::leak(null.to_string().into_boxed_str()));
    }

    fn set_pager(&mut self, on: Option<bool>) -> bool {
        self.pager = on.unwrap_or(!self.pager);
        self.pager
    }

    fn finish(&mut self) -> Result<()> {
        self.set_file(None)
    }
}

/// What bytes are written to.
enum Sink {
    Stdout(BufWriter<io::Stdout>),
    /// A temporary file next to its target; gone when dropped before it is complete.
    New(BufWriter<NamedTempFile>, PathBuf),
    /// A device or pipe, which cannot be replaced.
    Device(BufWriter<File>),
    /// A program that shows one result to a person.
    Pager(Child),
}

impl Sink {
    fn file(path: &Path) -> Result<Self> {
        let failed = |e: io::Error| Error::configuration(format!("{}: {e}", path.display()));
        // a link keeps pointing to the file that is replaced
        let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        match target.metadata() {
            Ok(found) if found.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Ok(found) if !found.is_file() => {
                let device = File::options().write(true).open(&target).map_err(failed)?;
                return Ok(Sink::Device(BufWriter::new(device)));
            }
            _ => {}
        }
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".rejoin-").suffix(".part");
        // as the user's umask has it, not private as temporary files are
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        Ok(Sink::New(BufWriter::new(builder.tempfile_in(folder).map_err(failed)?), target))
    }

    fn close(self) -> Result<()> {
        match self {
            Sink::Stdout(mut out) => noticed(out.flush())?,
            Sink::Device(mut out) => out.flush()?,
            Sink::Pager(mut program) => {
                drop(program.stdin.take());
                program.wait()?;
            }
            Sink::New(out, target) => {
                let failed = |e: io::Error| Error::configuration(format!("{}: {e}", target.display()));
                let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
                file.persist(&target).map_err(|e| failed(e.error))?;
            }
        }
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Stdout(out) => noticed(out.write(bytes)),
            Sink::New(out, _) => out.write(bytes),
            Sink::Device(out) => out.write(bytes),
            // who leaves the pager early has seen enough
            Sink::Pager(program) => match program.stdin.as_mut().map(|input| input.write(bytes)) {
                Some(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
                Some(Ok(written)) => Ok(written),
                _ => Ok(bytes.len()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Stdout(out) => noticed(out.flush()),
            Sink::New(out, _) => out.flush(),
            Sink::Device(out) => out.flush(),
            Sink::Pager(_) => Ok(()),
        }
    }
}

fn noticed<T>(result: io::Result<T>) -> io::Result<T> {
    if result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        READER_LEFT.store(true, Ordering::Relaxed);
    }
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    fn one() -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap()
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        std::fs::write(&path, "before").unwrap();
        let mut output = Output::open(Format::Csv, Some(&path)).unwrap();
        output.batch(&one()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        output.close().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "n\n1\n");
        let mut dropped = Output::open(Format::Csv, Some(&path)).unwrap();
        dropped.batch(&one()).unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_folder_or_a_missing_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Output::open(Format::Csv, Some(folder.path())).is_err());
        assert!(Output::open(Format::Csv, Some(&folder.path().join("no/such.csv"))).is_err());
    }
}
