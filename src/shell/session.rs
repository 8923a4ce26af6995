//! Runs what was entered, statement by statement, and the backslash commands.
//!
//! Invariants: at most one statement runs; `execute` stops at the first error, and what to do then is its caller's
//! choice.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use super::command::{self, Command, HELP};
use super::lexer;
use super::printer::Printer;
use super::reader::Reader;
use super::tables::{row_of, type_name};
use crate::engine::{Engine, Running, Statement};
use crate::error::did_you_mean;
use crate::format::Expanded;
use crate::functions::{FunctionDoc, documentation};
use crate::{Error, Result};

/// Files that include files, at most.
const DEEPEST_INCLUDE: usize = 16;

/// What comes after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More input.
    Continue,
    /// The end.
    Quit,
}

/// An engine, a printer, and how the user wants things.
pub struct Session<'a> {
    pub(super) engine: Arc<Engine>,
    printer: &'a mut dyn Printer,
    timing: bool,
    /// The last statement that ran, for `\watch`.
    last: Option<Statement>,
}

impl<'a> Session<'a> {
    /// A session with nothing running.
    pub fn new(engine: Engine, printer: &'a mut dyn Printer) -> Self {
        Self { engine: Arc::new(engine), printer, timing: false, last: None }
    }

    /// Runs a backslash command or complete statements.
    pub async fn execute(&mut self, input: &str) -> Result<Next> {
        self.execute_at(input, 0).await
    }

    /// Completes what the printer has open.
    pub fn finish(&mut self) -> Result<()> {
        self.printer.finish()
    }

    /// A line for a person.
    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        self.printer.text(text)
    }

    async fn execute_at(&mut self, input: &str, depth: usize) -> Result<Next> {
        if command::is_command(input) {
            return self.command(command::parse(input)?, depth).await;
        }
        if lexer::is_blank(input) {
            return Ok(Next::Continue);
        }
        let marked = |error: Error| super::spot::marked(input, error);
        for statement in Statement::asked(input).map_err(marked)? {
            self.statement(&statement).await.map_err(marked)?;
        }
        Ok(Next::Continue)
    }

    async fn statement(&mut self, statement: &Statement) -> Result<()> {
        let start = Instant::now();
        self.last = Some(statement.clone());
        let running = self.engine.run_statement(statement).await?;
        let begun = start.elapsed();
        let (running, waited) = timed(running);
        self.printer.print(running).await?;
        if self.timing {
            // without the time that a person takes to read, or a pager to be left
            let time = begun + Duration::from_nanos(waited.load(Ordering::Relaxed));
            self.printer.text(&format!("Time: {:.3} s", time.as_secs_f64()))?;
        }
        Ok(())
    }

    async fn include_at(&mut self, path: &Path, depth: usize) -> Result<Next> {
        if depth > DEEPEST_INCLUDE {
            return Err(Error::usage(format!("{}: files include each other too deeply", path.display())));
        }
        let failed = |e: std::io::Error| Error::configuration(format!("{}: {e}", path.display()));
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut reader = Reader::new(std::io::BufReader::new(file));
        while let Some((line, input)) = reader.next().map_err(failed)? {
            // the future of a file holds those of the files that it includes
            match Box::pin(self.execute_at(&input, depth)).await {
                Ok(Next::Continue) => {}
                Ok(Next::Quit) => return Ok(Next::Quit),
                Err(error) => return Err(error.at(format!("{} line {line}", path.display()))),
            }
        }
        Ok(Next::Continue)
    }

    async fn command(&mut self, command: Command, depth: usize) -> Result<Next> {
        match command {
            Command::Quit => return Ok(Next::Quit),
            Command::Help => self.printer.text(HELP)?,
            Command::Tables => {
                let tables = self.engine.tables().await?;
                let rows = tables.iter().map(|table| row_of(table)).collect();
                self.printer.table(&listing(&[("table", tables), ("one row is", rows)])?)?;
            }
            Command::Describe(table) => {
                let schema = self.engine.columns(&table.to_lowercase()).await?;
                let names = schema.fields().iter().map(|f| f.name().clone()).collect();
                let types = schema.fields().iter().map(|f| type_name(f.data_type())).collect();
                self.printer.table(&listing(&[("column", names), ("type", types)])?)?;
            }
            Command::Functions(None) => {
                let all = documentation();
                let column = |value: fn(&FunctionDoc) -> String| all.iter().map(value).collect();
                self.printer.table(&listing(&[
                    ("function", column(|f| f.name.to_string())),
                    ("kind", column(|f| f.kind.to_string())),
                    ("signature", column(|f| f.signature.to_string())),
                ])?)?;
            }
            Command::Functions(Some(name)) => {
                let all = documentation();
                let found = all.iter().find(|f| f.name.eq_ignore_ascii_case(&name)).ok_or_else(|| {
                    Error::usage(format!("no function {name}{}", did_you_mean(&name, all.iter().map(|f| f.name))))
                })?;
                self.printer.text(&format!("{}\n\n{}\n\n{}", found.signature, found.description, found.example))?;
            }
            Command::Timing(wanted) => {
                self.timing = wanted.unwrap_or(!self.timing);
                self.printer.text(if self.timing { "timing is on" } else { "timing is off" })?;
            }
            Command::Expanded(wanted) => {
                let text = match self.printer.set_expanded(wanted) {
                    Expanded::On => "one line a column",
                    Expanded::Off => "one line a row",
                    Expanded::Auto | Expanded::Needed => "one line a column where a row does not fit",
                };
                self.printer.text(text)?;
            }
            Command::Null(text) => self.printer.set_null(&text),
            Command::Pager(wanted) => {
                let on = self.printer.set_pager(wanted);
                self.printer.text(if on { "pager is on" } else { "pager is off" })?;
            }
            Command::Watch(pause) => {
                let Some(statement) = self.last.clone() else {
                    return Err(Error::usage("there is no statement yet that \\watch could repeat"));
                };
                // Ctrl-C drops this future
                loop {
                    self.printer.text(&crate::clock::now().format("%F %T UTC").to_string())?;
                    self.statement(&statement).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Command::Suites => {
                let settings =
                    "SELECT suite, transaction_id, rules, expiry_days, time_zone, currency FROM suites ORDER BY suite";
                let running = self.engine.run(settings).await?;
                self.printer.print(running).await?;
            }
            Command::Connection => {
                let text = format!("Rejoin {}, lake {}", env!("CARGO_PKG_VERSION"), self.engine.lake().url());
                self.printer.text(&text)?;
            }
            Command::Format(name) => self.printer.set_format(&name.to_lowercase())?,
            Command::Output(path) => self.printer.set_file(path.as_deref())?,
            Command::Include(path) => return self.include_at(&path, depth + 1).await,
        }
        Ok(Next::Continue)
    }
}

/// The same, with the nanoseconds that its rows were waited for.
fn timed(running: Running) -> (Running, Arc<AtomicU64>) {
    let Running { schema, rows, plan } = running;
    let waited = Arc::new(AtomicU64::new(0));
    let total = waited.clone();
    let rows = stream::unfold((rows, total), |(mut rows, total)| async move {
        let asked = Instant::now();
        let next = rows.next().await;
        total.fetch_add(asked.elapsed().as_nanos() as u64, Ordering::Relaxed);
        next.map(|next| (next, (rows, total)))
    });
    let rows = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
    (Running { schema, rows, plan }, waited)
}

fn listing(columns: &[(&str, Vec<String>)]) -> Result<RecordBatch> {
    let arrays =
        columns.iter().map(|(name, values)| (*name, Arc::new(StringArray::from_iter_values(values)) as ArrayRef));
    Ok(RecordBatch::try_from_iter(arrays)?)
}
