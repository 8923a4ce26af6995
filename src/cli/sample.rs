//! `rejoin sample`: writes the input files of a made-up shop.

use super::output::Output;
use super::progress;
use super::settings::Settings;
use crate::Result;
use crate::format::Format;
use crate::sample::{Sample, SampleOptions, write_sample};
use clap::Args;
use indicatif::HumanCount;
use std::path::PathBuf;

/// Write a sample delivery and data source files; the same bytes for the same seed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rejoin sample ./sample --hits 1000000 --days 30 --seed 7")]
pub struct SampleArguments {
    /// Folder to write to; is created
    pub dir: PathBuf,
    /// Online hits
    #[arg(long, value_name = "N")]
    pub hits: Option<u64>,
    /// Days over which the hits spread
    #[arg(long, value_name = "D")]
    pub days: Option<u32>,
    /// Visitors
    #[arg(long, value_name = "V")]
    pub visitors: Option<u64>,
    /// Seed of the random numbers
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

/// Writes the files and says what to do with them.
pub fn run(settings: &Settings, arguments: &SampleArguments) -> Result<()> {
    let defaults = SampleOptions::default();
    let options = SampleOptions {
        hits: arguments.hits.unwrap_or(defaults.hits),
        days: arguments.days.unwrap_or(defaults.days),
        visitors: arguments.visitors,
        seed: arguments.seed.unwrap_or(defaults.seed),
        suite: settings.suite.clone().unwrap_or(defaults.suite),
        end: defaults.end,
    };
    let bar = progress::bar("writing", options.hits, "hits");
    let sample = write_sample(&arguments.dir, &options, &mut |hits| bar.set_position(hits));
    bar.finish_and_clear();
    let sample = sample?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&facts(&sample, &options))?;
        return output.close();
    }
    let dir = arguments.dir.display();
    let suite = &options.suite;
    output.line(format!(
        "{} hits of {} visitors in {} deliveries: {dir}/feed",
        HumanCount(sample.hits),
        HumanCount(sample.visitors),
        sample.deliveries.len()
    ))?;
    for source in &sample.sources {
        let rows = HumanCount(source.accepted + source.rejected);
        output.line(format!("{rows} {} records: {}", source.kind.as_str(), source.path.display()))?;
    }
    output.line(format!("\nLoad them:\n  rejoin suite create {suite}\n  rejoin ingest {dir}/feed --suite {suite}"))?;
    for source in &sample.sources {
        let (name, kind) = (source.name, source.kind.as_str());
        output.line(format!("  rejoin source create {suite} {name} --kind {kind}"))?;
        output.line(format!("  rejoin ingest {dir}/{name} --suite {suite} --source {name}"))?;
    }
    output.line("  rejoin rebuild")?;
    output.close()
}

fn facts(sample: &Sample, options: &SampleOptions) -> serde_json::Value {
    let sources: Vec<_> = sample
        .sources
        .iter()
        .map(|s| {
            serde_json::json!({
                "source": s.name, "kind": s.kind.as_str(), "path": s.path, "accepted": s.accepted, "rejected": s.rejected,
                "matched": s.matched, "unmatched": s.unmatched, "expired": s.expired, "ambiguous": s.ambiguous,
            })
        })
        .collect();
    serde_json::json!({
        "suite": options.suite, "seed": options.seed, "days": options.days,
        "hits": sample.hits, "excluded_hits": sample.excluded_hits, "visitors": sample.visitors, "visits": sample.visits,
        "orders": sample.orders, "units": sample.units, "revenue": sample.revenue_cents as f64 / 100.0,
        "leads": sample.leads, "deliveries": sample.deliveries.len(), "sources": sources,
    })
}
