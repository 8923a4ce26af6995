//! `rejoin vacuum`: deletes files that no version needs any more, and prints how many.

use chrono::TimeDelta;
use clap::Args;
use indicatif::HumanBytes;

use super::listing::Listing;
use super::output::{Output, note};
use super::progress;
use super::settings::Settings;
use crate::format::Format;
use crate::lake::vacuum::{VacuumOptions, Vacuumed, VacuumedTable, vacuum};
use crate::time::parse_duration;
use crate::{Error, Result};

/// Delete files that no version needs any more
#[derive(Debug, Args)]
#[command(after_help = "\
Three things are kept: all versions that were current within --keep, so that queries that run now end correctly and \
--as-of works for that time; what the newest rebuild read and wrote; and, for a day at least, files of loads that may \
still be running.

Examples:
  rejoin vacuum --dry-run
  rejoin vacuum --keep 30d
  rejoin vacuum --keep 0 --force      # only the newest, while nothing else runs")]
pub struct VacuumArguments {
    /// Keep versions that were current within this time, e.g. 12h, 7d, 4 weeks
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub keep: String,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Allow --keep of less than an hour, while nothing else runs
    #[arg(long)]
    pub force: bool,
}

/// Readers and rebuilds take less, usually.
const LEAST: TimeDelta = TimeDelta::hours(1);

/// Vacuums and shows what was deleted.
pub async fn run(settings: &Settings, arguments: &VacuumArguments) -> Result<()> {
    let options = VacuumOptions { keep: keep(arguments)?, dry_run: arguments.dry_run };
    let spinner = progress::spinner("vacuuming");
    let shown = spinner.clone();
    let say = move |table: &str, files: u64| shown.set_message(format!("vacuuming {table}: {files} files"));
    let done = vacuum(&settings.lake, &options, &say).await;
    spinner.finish_and_clear();
    let done = done?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&done)?;
        return output.close();
    }
    if done.tables.is_empty() {
        output.line("the lake has no tables yet")?;
    } else {
        let touched: Vec<&VacuumedTable> = done.tables.iter().filter(has_something).collect();
        if !touched.is_empty() {
            output.batch(&table(&touched)?)?;
            output.line("")?;
        }
        summary(&done).into_iter().try_for_each(|line| output.line(line))?;
    }
    if !done.left_alone.is_empty() {
        note(format!("left alone, for it is not Rejoin's: {}", done.left_alone.join(", ")));
    }
    output.close()
}

fn keep(arguments: &VacuumArguments) -> Result<TimeDelta> {
    let text = arguments.keep.trim();
    let micros = if text == "0" { Ok(0) } else { parse_duration(text) };
    let keep = TimeDelta::microseconds(micros.map_err(|e| Error::usage(format!("--keep {e}")))?);
    // as far back as any clock has been
    if keep > TimeDelta::days(365 * 50) {
        return Err(Error::usage(format!("--keep {text}: longer than 50 years; leave the vacuum out instead")));
    }
    if keep < LEAST && !arguments.force && !arguments.dry_run {
        return Err(Error::usage(format!(
            "--keep {text}: queries and rebuilds that run now may read files that go; keep at least 1h, or give --force \
             when nothing runs"
        )));
    }
    Ok(keep)
}

/// False for a table of which nothing goes and nothing former is there.
fn has_something(table: &&VacuumedTable) -> bool {
    [table.files, table.temporary, table.kept_files, table.unfinished, table.foreign].iter().any(|files| *files > 0)
}

fn table(tables: &[&VacuumedTable]) -> Result<arrow::array::RecordBatch> {
    let number = |of: fn(&VacuumedTable) -> u64| tables.iter().map(move |t| of(t) as i64);
    Listing::new()
        .text("table", tables.iter().map(|t| &t.table))
        .number("files", number(|t| t.files))
        .number("bytes", number(|t| t.bytes))
        .number("temporary", number(|t| t.temporary))
        .number("former kept", number(|t| t.kept_files))
        .number("bytes kept", number(|t| t.kept_bytes))
        .number("unfinished", number(|t| t.unfinished))
        .number("foreign", number(|t| t.foreign))
        .batch()
}

fn summary(done: &Vacuumed) -> Vec<String> {
    let sum = |of: fn(&VacuumedTable) -> u64| done.tables.iter().map(of).sum::<u64>();
    let (files, bytes) = (sum(|t| t.files), HumanBytes(sum(|t| t.bytes)));
    let verb = if done.dry_run { "would be deleted" } else { "deleted" };
    let since = done.kept_since.format("%Y-%m-%dT%H:%M:%SZ");
    let rebuilds = done.oldest_rebuild.map_or(String::new(), |oldest| format!(", --as-of from rebuild {oldest} on"));
    let mut lines = vec![
        format!("{files} files of {bytes} {verb}"),
        format!("kept: all versions that were current since {since}{rebuilds}"),
    ];
    if sum(|t| t.unfinished) > 0 {
        lines.push("unfinished: no version names them, and a writer may still be at work; they go a day later".into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_nothing_is_said_of_are_left_out() {
        let table = |files, foreign| VacuumedTable { files, foreign, ..VacuumedTable::default() };
        assert!(has_something(&&table(1, 0)) && has_something(&&table(0, 1)) && !has_something(&&table(0, 0)));
    }
}
