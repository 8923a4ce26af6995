//! `rejoin compact`: merges the files of many loads, prints what there was and what there is.

use std::sync::Mutex;

use indicatif::{HumanBytes, HumanCount, ProgressBar};

use super::listing::Listing;
use super::output::{Output, note};
use super::progress;
use super::settings::Settings;
use crate::Result;
use crate::format::Format;
use crate::lake::compact::{Compacted, CompactionOptions, Extent, compact};

/// Runs the compaction.
pub async fn run(settings: &Settings) -> Result<()> {
    let rewriter = settings.engine(None)?.rewriter();
    let (options, bars) = (CompactionOptions::default(), Bars::default());
    let show = |table: &str, done, total| bars.show(table, done, total);
    let compacted = compact(&settings.lake, &options, rewriter.as_ref(), &show).await;
    bars.clear();
    let compacted = compacted?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&compacted)?;
        return output.close();
    }
    if compacted.iter().all(|c| c.merged == 0) {
        output.line("nothing to compact")?;
    } else {
        output.batch(&table(&compacted)?)?;
    }
    for table in compacted.iter().filter(|c| c.postponed > 0) {
        let count = HumanCount(table.postponed);
        note(format!(
            "{}: {count} files were changed by another writer meanwhile; the next run takes them",
            table.table
        ));
    }
    output.close()
}

/// A bar a table, one at a time.
#[derive(Default)]
pub struct Bars(Mutex<Option<(String, ProgressBar)>>);

impl Bars {
    /// So many bytes of a table's files are merged, of so many.
    pub fn show(&self, table: &str, done: u64, total: u64) {
        // a bar is no reason to fail
        let Ok(mut bar) = self.0.lock() else { return };
        if bar.as_ref().is_none_or(|(name, _)| name != table) {
            bar.take().into_iter().for_each(|(_, b)| b.finish_and_clear());
            *bar = Some((table.to_string(), progress::bar(&format!("compacting {table}"), total, "bytes")));
        }
        bar.iter().for_each(|(_, b)| b.set_position(done));
    }

    /// Nothing more comes.
    pub fn clear(&self) {
        if let Ok(mut bar) = self.0.lock() {
            bar.take().into_iter().for_each(|(_, b)| b.finish_and_clear());
        }
    }
}

/// What happened to a table, in a line; None where nothing did.
pub fn summary(compacted: &Compacted) -> Option<String> {
    let Compacted { table, before, after, .. } = compacted;
    let size = |extent: &Extent| format!("{} files of {}", HumanCount(extent.files), HumanBytes(extent.bytes));
    (compacted.merged > 0).then(|| format!("compacted {table}: {} became {}", size(before), size(after)))
}

/// Each table before and after.
fn table(compacted: &[Compacted]) -> Result<arrow::array::RecordBatch> {
    let number = |of: fn(&Compacted) -> u64| compacted.iter().map(move |c| of(c) as i64);
    Listing::new()
        .text("table", compacted.iter().map(|c| &c.table))
        .number("files before", number(|c| c.before.files))
        .number("files after", number(|c| c.after.files))
        .number("rows before", number(|c| c.before.rows))
        .number("rows after", number(|c| c.after.rows))
        .number("bytes before", number(|c| c.before.bytes))
        .number("bytes after", number(|c| c.after.bytes))
        .batch()
}
