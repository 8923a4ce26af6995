//! Progress on stderr, only when that is a terminal.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::engine::remote::RemoteExec;

/// A bar for a known amount; `unit` is `bytes` or what is counted.
pub fn bar(title: &str, total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(title.to_string());
    let counted = if unit == "bytes" { "{bytes}/{total_bytes}".to_string() } else { format!("{{human_pos}} {unit}") };
    bar.set_style(style(&format!("{{msg}} {{wide_bar:.cyan/dim}} {counted} {{eta}}")));
    bar
}

/// A spinner for an unknown amount.
pub fn spinner(title: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(title.to_string());
    spinner.set_style(style("{spinner} {msg}"));
    // without a terminal there is nothing to redraw
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    spinner
}

/// How often a query's progress is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Waits for `first` of a query and shows meanwhile how many rows were read, of how many, and the time that is left. Queries that
/// answer at once show nothing.
pub async fn of_query<T>(plan: Arc<dyn ExecutionPlan>, first: impl Future<Output = T>) -> T {
    tokio::pin!(first);
    if let Ok(done) = tokio::time::timeout(LOOK, &mut first).await {
        return done;
    }
    let bar = Cleared(spinner("reading"));
    let started = Instant::now();
    loop {
        if !bar.0.is_hidden() {
            bar.0.set_message(match plan.downcast_ref::<RemoteExec>() {
                Some(remote) => format!("{}, {} s", remote.progress(), started.elapsed().as_secs()),
                None => shares_done(&plan, started.elapsed()),
            });
        }
        if let Ok(done) = tokio::time::timeout(LOOK, &mut first).await {
            return done;
        }
    }
}

/// A bar that is removed with the value, also where Ctrl-C drops the work that it shows.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// `1,200 of 20,000 rows read, 6 %, 3 s, about 47 s left`, as far as it is known.
fn shares_done(plan: &Arc<dyn ExecutionPlan>, passed: Duration) -> String {
    let (read, total) = rows(plan);
    let seconds = passed.as_secs();
    match total.filter(|&total| total > 0 && read <= total) {
        Some(total) if read > 0 => {
            let left = passed.mul_f64((total - read) as f64 / read as f64);
            let (read_now, of, percent) = (HumanCount(read), HumanCount(total), 100 * read / total);
            format!("{read_now} of {of} rows read, {percent} %, {seconds} s, about {} left", HumanDuration(left))
        }
        _ => format!("{} rows read, {seconds} s", HumanCount(read)),
    }
}

/// Rows that the leaves of a plan have read so far, and how many they will read where the files say it.
fn rows(plan: &Arc<dyn ExecutionPlan>) -> (u64, Option<u64>) {
    if plan.children().is_empty() {
        let read = plan.metrics().and_then(|m| m.output_rows()).unwrap_or(0);
        let total = StatisticsContext::new()
            .compute(plan.as_ref(), &StatisticsArgs::new())
            .ok()
            .and_then(|s| s.num_rows.get_value().copied());
        return (read as u64, total.map(|t| t as u64));
    }
    let parts = plan.children().into_iter().map(rows);
    parts.fold((0, Some(0)), |(read, total), (r, t)| (read + r, total.zip(t).map(|(a, b)| a + b)))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
