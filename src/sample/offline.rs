//! The data source files: offline records about what happened online, and the rows that a loader must refuse.
//!
//! Goes in: moments of the crowd and the story's records, in online order; comes out: a `.txt` and its `.fin` for each
//! source, and what a loader and a rebuild (recording on, `classic` rules, 90 days, zone UTC) must count. No record
//! is more than 14 days after the sample's last day.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate};

use super::calendar::{Calendar, DAY_SECONDS};
use super::catalogue::CAMPAIGNS;
use super::crowd::Crowd;
use super::delivery::{cannot_write, remove};
use super::random::{Random, mix};
use super::record::{CALLS, ExpectedStatus, LEADS, RETURNS, Record, When};
use super::visit::{Moment, customer_id};
use crate::error::Result;

/// How a source's records are tied to online visitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    Summary,
    Transaction,
    Customer,
}

impl SourceKind {
    /// The word for `rejoin source create --kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Summary => "summary",
            SourceKind::Transaction => "transaction",
            SourceKind::Customer => "customer",
        }
    }
}

/// A data source file as written, and what must become of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The source to load it into; also the folder's name.
    pub name: &'static str,
    pub kind: SourceKind,
    /// The `.txt`; an empty `.fin` is beside it.
    pub path: PathBuf,
    /// Rows that load, whatever their status.
    pub accepted: u64,
    pub rejected: u64,
    pub matched: u64,
    pub unmatched: u64,
    pub expired: u64,
    pub ambiguous: u64,
}

/// Places of the other sources in [`Offline`].
const CENTRE: usize = 3;
const SPEND: usize = 4;

/// A source: name, kind, header line, rows to reject.
type Source = (&'static str, SourceKind, &'static str, &'static [&'static str]);

const SOURCES: [Source; 5] = [
    (
        "leads",
        SourceKind::Transaction,
        "# closed by the field sales team, exported from the CRM\nDate\ttransactionID\tTracking Code\tEvent 10\tEVENT 11\tevent 12\n",
        &[
            "10/05/2026\tL1000001\tfair;phone\t1\t\t\n",
            "10/06/2026\tL1000001\t\t\t1\t1,250.00\n",
            "31/12/2025\tL1000001\t\t1\t\t\n",
        ],
    ),
    (
        "store_returns",
        SourceKind::Transaction,
        "# goods brought back to a store\nDATE\tTransactionID\tEvar 10\tOrders\tQuantity\tPrice\n",
        &["10/07/2026\tT1000001\tStore Berlin\n"],
    ),
    (
        "support_calls",
        SourceKind::Transaction,
        "# calls about an order\nDate\tTRANSACTIONID\tEVAR 11\tEvent 13\n",
        &["10/08/2026\tT1000001\tno metric\t\n"],
    ),
    (
        "call_centre",
        SourceKind::Customer,
        // As a spreadsheet saves it: with a byte order mark.
        "\u{feff}# calls of known customers\ndate\tVisitorID\tevar 12\tEvent 14\n",
        &["01/05/2099\tC1000001\tin the future\t1\n"],
    ),
    (
        "ad_spend",
        SourceKind::Summary,
        "# cost by campaign and day\nDate\ttracking code\tEvent 20\n",
        &["10/09/2026\tps:brand\tn/a\n"],
    ),
];

const STORES: [&str; 5] = ["Store Berlin", "Store Köln", "Store Denver", "Store Seattle", "Store Lyon"];
const REASONS: [&str; 5] = ["delivery late", "how to assemble", "wrong size", "damaged", "invoice"];
const TOPICS: [&str; 5] = ["order status", "advice", "complaint", "loyalty points", "Rückgabe"];

/// Campaigns whose cost is known.
const PAID_CAMPAIGNS: usize = 12;

/// The open data source files.
#[derive(Debug)]
pub struct Offline {
    seed: u64,
    files: Vec<(SourceFile, BufWriter<File>)>,
    line: String,
}

impl Offline {
    /// Creates the files below `dir`, with headers, rows to reject, and records of unknown IDs.
    ///
    /// # Errors
    /// A folder or file cannot be written.
    pub fn create(dir: &Path, end: NaiveDate, seed: u64, calendar: &Calendar) -> Result<Self> {
        let mut offline = Self { seed, files: Vec::new(), line: String::new() };
        for (name, kind, header, _) in SOURCES {
            let folder = dir.join(name);
            fs::create_dir_all(&folder).map_err(|e| cannot_write(&folder, e))?;
            let path = folder.join(format!("{name}_{}.txt", end.format("%Y-%m")));
            remove(&path.with_extension("fin"))?;
            let file = File::create(&path).map_err(|e| cannot_write(&path, e))?;
            let counts = (0, 0, 0, 0, 0, 0);
            let (accepted, rejected, matched, unmatched, expired, ambiguous) = counts;
            let described = SourceFile { name, kind, path, accepted, rejected, matched, unmatched, expired, ambiguous };
            offline.files.push((described, BufWriter::new(file)));
            offline.put(offline.files.len() - 1, header, None)?;
        }
        let noon = calendar.midnight(0) + DAY_SECONDS / 2;
        offline.row(LEADS, When::Dated(noon), "L0000000\t\t1\t\t", ExpectedStatus::Unmatched)?;
        offline.row(RETURNS, When::Timed(noon), "T0000000\tStore Berlin\t-1\t-1\t-19.90", ExpectedStatus::Unmatched)?;
        for stranger in ["0", "null", "C9999999999"] {
            offline.row(CENTRE, When::Timed(noon), &format!("{stranger}\tadvice\t1"), ExpectedStatus::Unmatched)?;
        }
        Ok(offline)
    }

    /// Writes a record of the story.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(&mut self, record: &Record) -> Result<()> {
        self.row(record.source, record.when, record.fields, record.expected)
    }

    /// Writes what follows offline from a moment at `time` (epoch seconds), if anything does.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn follow(&mut self, crowd: &Crowd, time: u32, moment: Moment) -> Result<()> {
        match moment {
            Moment::Order { number, cents, units } => self.after_order(time, number, cents, units),
            Moment::Lead { number } => self.after_lead(time, number),
            Moment::Login { visitor, customer } => {
                let mut random = Random::new(mix(visitor.key ^ 0xca11, time.into()));
                if !random.chance(120) {
                    return Ok(());
                }
                let expected = if crowd.other_device(visitor).is_some() {
                    ExpectedStatus::Ambiguous
                } else {
                    ExpectedStatus::Matched
                };
                let mut id = Vec::new();
                customer_id(&mut id, customer);
                let fields = format!("{}\t{}\t1", String::from_utf8_lossy(&id), random.pick(&TOPICS));
                self.row(CENTRE, later(time, 9, &mut random), &fields, expected)
            }
        }
    }

    /// Writes the cost of a day's campaigns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn spend(&mut self, midnight: u32) -> Result<()> {
        for (rank, campaign) in (1..).zip(&CAMPAIGNS[..PAID_CAMPAIGNS]) {
            let cents = 30_000 / rank + mix(self.seed ^ rank, midnight.into()) % 4000;
            let fields = format!("{}\t{}.{:02}", campaign.code, cents / 100, cents % 100);
            self.row(SPEND, When::Dated(midnight), &fields, ExpectedStatus::Summary)?;
        }
        Ok(())
    }

    /// Ends all files and puts their `.fin` beside them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(mut self) -> Result<Vec<SourceFile>> {
        for (place, (_, _, _, bad)) in SOURCES.into_iter().enumerate() {
            for row in bad {
                self.put(place, row, Some(ExpectedStatus::Rejected))?;
            }
        }
        let mut files = Vec::new();
        for (file, mut out) in self.files {
            out.flush().map_err(|e| cannot_write(&file.path, e))?;
            let fin = file.path.with_extension("fin");
            fs::write(&fin, b"").map_err(|e| cannot_write(&fin, e))?;
            files.push(file);
        }
        Ok(files)
    }

    fn after_order(&mut self, time: u32, number: u64, cents: u64, units: u64) -> Result<()> {
        let mut random = Random::new(mix(self.seed ^ 0x07de7, number));
        let (returned, store) = (random.below(100), random.pick(&STORES));
        if returned < 10 {
            let amount = format!("{}.{:02}", cents / 100, cents % 100);
            let fields = format!("T{number}\t{store}\t-1\t-{units}\t-{amount}");
            self.row(RETURNS, later(time, 13, &mut random), &fields, ExpectedStatus::Matched)?;
        } else if returned < 14 && units > 1 {
            // Part of an order: the order stands.
            let cents = cents / units;
            let fields = format!("T{number}\t{store}\t\t-1\t-{}.{:02}", cents / 100, cents % 100);
            self.row(RETURNS, later(time, 13, &mut random), &fields, ExpectedStatus::Matched)?;
        }
        let calls = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2][random.below(14) as usize];
        for _ in 0..calls {
            let fields = format!("T{number}\t{}\t1", random.pick(&REASONS));
            self.row(CALLS, later(time, 10, &mut random), &fields, ExpectedStatus::Matched)?;
        }
        Ok(())
    }

    fn after_lead(&mut self, time: u32, number: u64) -> Result<()> {
        let mut random = Random::new(mix(self.seed ^ 0x1ead, number));
        if !random.chance(550) {
            return Ok(());
        }
        self.row(LEADS, When::Dated(time + DAY_SECONDS), &format!("L{number}\t\t1\t\t"), ExpectedStatus::Matched)?;
        if random.chance(400) {
            let value = 100 + 5 * random.below(480);
            let code = if random.chance(100) { "off:trade_fair" } else { "" };
            let closed = time + (2 + random.below(9)) * DAY_SECONDS;
            let fields = format!("L{number}\t{code}\t\t1\t{value}");
            self.row(LEADS, When::Timed(closed), &fields, ExpectedStatus::Matched)?;
            if random.chance(50) {
                // The customer steps back from the deal.
                let fields = format!("L{number}\t\t\t-1\t-{value}.00");
                self.row(LEADS, When::Timed(closed + DAY_SECONDS), &fields, ExpectedStatus::Matched)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, place: usize, when: When, fields: &str, expected: ExpectedStatus) -> Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let (time, format) = match when {
            When::Timed(time) => (time, "%m/%d/%Y/%H/%M/%S"),
            // One digit where one is enough.
            When::Dated(time) => (time, "%-m/%-d/%Y"),
        };
        let time = DateTime::from_timestamp(time.into(), 0).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(line, "{}\t{fields}", time.format(format));
        let put = self.put(place, &line, Some(expected));
        self.line = line;
        put
    }

    fn put(&mut self, place: usize, line: &str, expected: Option<ExpectedStatus>) -> Result<()> {
        let (file, out) = &mut self.files[place];
        let count = match expected {
            Some(ExpectedStatus::Matched) => Some(&mut file.matched),
            Some(ExpectedStatus::Unmatched) => Some(&mut file.unmatched),
            Some(ExpectedStatus::Expired) => Some(&mut file.expired),
            Some(ExpectedStatus::Ambiguous) => Some(&mut file.ambiguous),
            Some(ExpectedStatus::Rejected) => Some(&mut file.rejected),
            Some(ExpectedStatus::Summary) | None => None,
        };
        if let Some(count) = count {
            *count += 1;
        }
        file.accepted += u64::from(expected.is_some_and(|expected| expected != ExpectedStatus::Rejected));
        out.write_all(line.as_bytes()).map_err(|e| cannot_write(&file.path, e))
    }
}

/// Some day after `time`, two at least and `days` at most, within opening hours; half of the records keep the time.
fn later(time: u32, days: u32, random: &mut Random) -> When {
    let day = time - time % DAY_SECONDS + (2 + random.below(days - 1)) * DAY_SECONDS;
    let at = day + 9 * 3600 + random.below(10 * 3600);
    if random.chance(500) { When::Timed(at) } else { When::Dated(at) }
}
