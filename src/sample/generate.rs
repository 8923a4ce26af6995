//! Writes a whole sample, one day after the other, hits in order of time.
//!
//! Visits under way wait in a heap by the time of their next hit, so rows are made when they are written and no day is
//! ever held; a visit that goes on after midnight goes on in the next delivery.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs;
use std::path::Path;

use chrono::{Datelike, Days, NaiveDate};

use super::calendar::Calendar;
use super::crowd::{Crowd, VisitStart};
use super::delivery::{Delivery, DeliveryWriter, cannot_write, lookup_archive};
use super::hit::Hit;
use super::offline::{Offline, SourceFile};
use super::story::{self, EARLY_DAYS, STORIES, Story, StoryVisit};
use super::visit::{Moment, OpenVisit, Tastes, Totals};
use crate::error::{Error, Result};

/// The deliveries' folder below the sample's.
const FEED: &str = "feed";

/// Bounds that keep all arithmetic within 64 bits.
const MOST_HITS: u64 = 1 << 31;
const MOST_VISITORS: u64 = 1 << 28;
const MOST_DAYS: u32 = 3660;

/// Hits between two calls of `progress`.
const PROGRESS_HITS: u64 = 10_000;

/// What a sample is made of; the same options make the same files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleOptions {
    /// Online hits, the story's too (which has at least 22).
    pub hits: u64,
    /// Days, each with a delivery.
    pub days: u32,
    /// Visitors; hits / 12 unless said.
    pub visitors: Option<u64>,
    /// Another seed, another shop.
    pub seed: u64,
    /// The report suite, part of the files' names.
    pub suite: String,
    /// The last day (UTC). Offline records are up to 14 days later.
    pub end: NaiveDate,
}

impl Default for SampleOptions {
    fn default() -> Self {
        let end = NaiveDate::from_ymd_opt(2026, 10, 31).unwrap_or_default();
        Self { hits: 200_000, days: 30, visitors: None, seed: 1, suite: "shop".into(), end }
    }
}

/// What was written, and what a lake with all of it must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// In order of days; the first is the early one.
    pub deliveries: Vec<Delivery>,
    pub sources: Vec<SourceFile>,
    pub stories: &'static [Story],
    /// Rows of all deliveries, `excluded_hits` of them not in `events`: excluded, or background hits.
    pub hits: u64,
    pub excluded_hits: u64,
    /// Visitors and visits, the excluded ones too.
    pub visitors: u64,
    pub visits: u64,
    /// Online purchases, each counted once, and their units and revenue; online leads (`event1`).
    pub orders: u64,
    pub units: u64,
    pub revenue_cents: u64,
    pub leads: u64,
}

/// Writes a sample below `dir`, which is made if it is missing. Calls `progress` with the hits written so far.
///
/// # Errors
/// `usage` for options out of bounds, `conflict` where `dir` holds deliveries that this sample does not replace,
/// `unavailable` where a file cannot be written.
pub fn write_sample(dir: &Path, options: &SampleOptions, progress: &mut dyn FnMut(u64)) -> Result<Sample> {
    let first = check(options)?;
    let calendar = Calendar::new(first, options.days, options.seed);
    let feed = dir.join(FEED);
    let dates: Vec<NaiveDate> = [first - Days::new(EARLY_DAYS.into())]
        .into_iter()
        .chain((0..options.days).map(|day| calendar.date(day)))
        .collect();
    fs::create_dir_all(&feed).map_err(|e| cannot_write(&feed, e))?;
    refuse_strangers(&feed, &options.suite, &dates)?;

    let mut offline = Offline::create(dir, options.end, options.seed, &calendar)?;
    for record in story::records(&calendar) {
        offline.record(&record)?;
    }
    let story = story::visits(&calendar);
    let told_hits: usize = story.iter().map(StoryVisit::remaining).sum();
    let crowd_hits = options.hits.saturating_sub(told_hits as u64);
    let visitors = options.visitors.unwrap_or(options.hits / 12).clamp(1, crowd_hits.max(1));
    let lookups = lookup_archive().map_err(|e| cannot_write(&feed, e))?;
    let mut site = Site {
        crowd: Crowd::new(options.seed, crowd_hits, visitors, calendar),
        tastes: Tastes::new(),
        story,
        open: BinaryHeap::new(),
        opened: 0,
        hit: Hit::default(),
        totals: Totals::default(),
        hits: 0,
    };

    let mut deliveries = Vec::new();
    for (place, date) in dates.into_iter().enumerate() {
        let mut delivery = DeliveryWriter::create(&feed, &options.suite, date, &lookups)?;
        let day = place.checked_sub(1).map(|day| day as u32);
        site.write_day(day, &mut delivery, &mut offline, progress)?;
        deliveries.push(delivery.finish()?);
        if let Some(day) = day {
            offline.spend(site.crowd.calendar.midnight(day))?;
        }
    }
    progress(site.hits);
    let Totals { visitors, visits, excluded_hits, orders, units, revenue_cents, leads } = site.totals;
    let (sources, stories, hits) = (offline.finish()?, STORIES.as_slice(), site.hits);
    Ok(Sample {
        deliveries,
        sources,
        stories,
        hits,
        excluded_hits,
        visitors,
        visits,
        orders,
        units,
        revenue_cents,
        leads,
    })
}

/// Everybody who is or will be on the site.
struct Site {
    crowd: Crowd,
    tastes: Tastes,
    story: Vec<StoryVisit>,
    open: BinaryHeap<Reverse<VisitUnderWay>>,
    opened: u64,
    hit: Hit,
    totals: Totals,
    hits: u64,
}

impl Site {
    /// Writes the hits of a day; None is the early one.
    fn write_day(
        &mut self,
        day: Option<u32>,
        delivery: &mut DeliveryWriter<'_>,
        offline: &mut Offline,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let calendar = &self.crowd.calendar;
        let end = day.map_or(calendar.midnight(0), |day| calendar.midnight(day) + super::calendar::DAY_SECONDS);
        let starts = day.map(|day| self.crowd.visits_of(day)).unwrap_or_default();
        let story: Vec<StoryVisit> = self.story.extract_if(.., |visit| visit.time < end).collect();
        story.into_iter().for_each(|visit| self.push(Course::Story(visit)));
        let mut starts = starts.into_iter().peekable();
        loop {
            let next_hit = self.open.peek().map(|Reverse(open)| open.time);
            if let Some(start) = starts.next_if(|start| next_hit.is_none_or(|time| start.time <= time)) {
                self.open(start);
            } else if next_hit.is_some_and(|time| time < end) {
                if let Some(moment) = self.next_hit() {
                    offline.follow(&self.crowd, self.hit.time, moment)?;
                }
                delivery.write(&self.hit)?;
                self.hits += 1;
                if self.hits.is_multiple_of(PROGRESS_HITS) {
                    progress(self.hits);
                }
            } else {
                return Ok(());
            }
        }
    }

    fn open(&mut self, start: VisitStart) {
        if let Some(visit) = OpenVisit::new(&self.crowd, start) {
            self.push(Course::Crowd(Box::new(visit)));
        }
    }

    fn push(&mut self, course: Course) {
        self.opened += 1;
        self.open.push(Reverse(VisitUnderWay { time: course.time(), number: self.opened, course }));
    }

    /// Makes the next hit of the visit that has the earliest one.
    fn next_hit(&mut self) -> Option<Moment> {
        let mut top = self.open.peek_mut()?;
        self.hit.number = self.hits;
        let Reverse(VisitUnderWay { time, course, .. }) = &mut *top;
        let (moment, goes_on) = match course {
            Course::Story(visit) => {
                visit.next_hit(&mut self.totals, &mut self.hit);
                (None, visit.remaining() > 0)
            }
            Course::Crowd(visit) => {
                let moment = visit.next_hit(&self.crowd, &self.tastes, &mut self.totals, &mut self.hit);
                (moment, visit.is_open())
            }
        };
        *time = course.time();
        if !goes_on {
            PeekMut::pop(top);
        }
        moment
    }
}

/// A visit under way, ordered by the time of its next hit, then by when it was opened.
struct VisitUnderWay {
    time: u32,
    number: u64,
    course: Course,
}

enum Course {
    Story(StoryVisit),
    Crowd(Box<OpenVisit>),
}

impl Course {
    fn time(&self) -> u32 {
        match self {
            Course::Story(visit) => visit.time,
            Course::Crowd(visit) => visit.time,
        }
    }
}

impl PartialEq for VisitUnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for VisitUnderWay {}

impl PartialOrd for VisitUnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VisitUnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

/// The first day, if the options are within bounds.
fn check(options: &SampleOptions) -> Result<NaiveDate> {
    let SampleOptions { hits, days, visitors, suite, end, .. } = options;
    if *hits > MOST_HITS {
        return Err(Error::usage(format!("--hits {hits}: a sample has at most {MOST_HITS} hits")));
    }
    if !(1..=MOST_DAYS).contains(days) {
        return Err(Error::usage(format!("--days {days}: a sample has 1 to {MOST_DAYS} days")));
    }
    if visitors.is_some_and(|visitors| !(1..=MOST_VISITORS).contains(&visitors)) {
        let visitors = visitors.unwrap_or_default();
        return Err(Error::usage(format!("--visitors {visitors}: a sample has 1 to {MOST_VISITORS} visitors")));
    }
    if suite.is_empty() || !suite.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(Error::usage(format!("suite {suite:?}: letters, digits, - and _ make a suite's id")));
    }
    match end.checked_sub_days(Days::new(u64::from(*days) - 1)) {
        Some(first) if first.year() > 1970 && end.year() < 2100 => Ok(first),
        _ => {
            Err(Error::usage(format!("a sample of {days} days that ends on {end} does not lie between 1971 and 2099")))
        }
    }
}

/// Deliveries of other days or suites would mix with the sample.
fn refuse_strangers(feed: &Path, suite: &str, dates: &[NaiveDate]) -> Result<()> {
    for entry in fs::read_dir(feed)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !dates.iter().any(|date| name.contains(&format!("{suite}_{date}"))) {
            let message = "is not part of this sample; choose an empty folder, or remove the file";
            return Err(Error::conflict(format!("{} {message}", feed.join(name).display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, HashSet};
    use std::io::Read;
    use std::path::PathBuf;

    use flate2::read::GzDecoder;
    use md5::{Digest, Md5};

    use super::super::hit::COLUMNS;
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("rejoin-sample-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn options(hits: u64, days: u32) -> SampleOptions {
        SampleOptions { hits, days, ..SampleOptions::default() }
    }

    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(dir).unwrap() {
            for file in fs::read_dir(entry.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                found.insert(path.strip_prefix(dir).unwrap().to_path_buf(), fs::read(path).unwrap());
            }
        }
        found
    }

    /// The fields of all rows, escapes undone.
    fn rows(delivery: &Delivery) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for path in &delivery.data_files {
            let mut text = String::new();
            GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
            let (mut row, mut field, mut chars) = (Vec::new(), String::new(), text.chars());
            while let Some(c) = chars.next() {
                match c {
                    '\\' => field.push(chars.next().unwrap()),
                    '\t' => row.push(std::mem::take(&mut field)),
                    '\n' => {
                        row.push(std::mem::take(&mut field));
                        rows.push(std::mem::take(&mut row));
                    }
                    c => field.push(c),
                }
            }
            assert!(row.is_empty() && field.is_empty());
        }
        rows
    }

    fn column(name: &str) -> usize {
        COLUMNS.iter().position(|&(column, _)| column == name).unwrap()
    }

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let (a, b) = (folder("a"), folder("b"));
        let one = write_sample(&a, &options(3000, 5), &mut |_| {}).unwrap();
        write_sample(&b, &options(3000, 5), &mut |_| {}).unwrap();
        let before = files(&a);
        assert_eq!(before, files(&b));
        let again = write_sample(&a, &options(3000, 5), &mut |_| {}).unwrap();
        assert_eq!((before, &one), (files(&a), &again), "a second run replaces the first");
        let other = SampleOptions { seed: 2, ..options(3000, 5) };
        write_sample(&b, &other, &mut |_| {}).unwrap();
        assert_ne!(files(&a), files(&b));
        let error = write_sample(&a, &options(3000, 2), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("is not part of this sample"), "{error}");
        [a, b].iter().for_each(|dir| fs::remove_dir_all(dir).unwrap());
    }

    #[test]
    fn rows_and_counts_agree() {
        let dir = folder("rows");
        let mut last = 0;
        let sample = write_sample(&dir, &options(20_000, 10), &mut |hits| last = hits).unwrap();
        let (mut ids, mut visits, mut visitors) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (mut orders, mut leads, mut excluded, mut order_ids, mut before) = (0, 0, 0, HashSet::new(), 0);
        let mut background = 0;
        let id = |row: &[String], names: [&str; 2]| names.map(|name| row[column(name)].clone());
        for delivery in &sample.deliveries {
            let rows = rows(delivery);
            assert_eq!(rows.len() as u64, delivery.records);
            for row in rows {
                assert_eq!(row.len(), COLUMNS.len());
                let high: u64 = row[column("hitid_high")].parse().unwrap();
                assert!(high > before && high < 4_300_000_000_000_000_000);
                before = high;
                ids.insert(id(&row, ["hitid_high", "hitid_low"]));
                let visitor = id(&row, ["post_visid_high", "post_visid_low"]);
                visits.insert((visitor.clone(), id(&row, ["visit_num", "visit_start_time_gmt"])));
                visitors.insert(visitor);
                let time: i64 = row[column("hit_time_gmt")].parse().unwrap();
                assert_eq!(chrono::DateTime::from_timestamp(time, 0).unwrap().date_naive(), delivery.date);
                let events: Vec<&str> = row[column("post_event_list")].split(',').collect();
                if events.contains(&"1") && row[column("duplicate_purchase")] == "0" {
                    orders += 1;
                    order_ids.insert(row[column("post_transactionid")].clone());
                }
                leads += u64::from(events.contains(&"200"));
                let uncounted = ["exclude_hit", "post_customer_perspective"].map(|name| row[column(name)] != "0");
                excluded += u64::from(uncounted.contains(&true));
                background += u64::from(uncounted[1]);
            }
        }
        assert_eq!((ids.len() as u64, sample.hits, last), (20_000, 20_000, 20_000));
        assert_eq!((visits.len() as u64, visitors.len() as u64), (sample.visits, sample.visitors));
        assert_eq!((orders, order_ids.len() as u64), (sample.orders, sample.orders));
        assert_eq!((leads, excluded), (sample.leads, sample.excluded_hits));
        let per_mille = sample.orders * 1000 / sample.visits;
        assert!((14..=28).contains(&per_mille), "{per_mille} orders per 1,000 visits");
        assert!(0 < background && background < excluded, "{background} of {excluded}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn manifests_describe_the_files() {
        let dir = folder("manifest");
        let sample = write_sample(&dir, &options(2000, 2), &mut |_| {}).unwrap();
        assert_eq!(sample.deliveries.len(), 3);
        for delivery in &sample.deliveries {
            let text = fs::read_to_string(&delivery.manifest).unwrap();
            let value = |line: &str| line.split_once(": ").unwrap().1.to_string();
            assert!(text.starts_with("Datafeed-Manifest-Version: 1.0\nLookup-Files: 1\nData-Files: 1\n"), "{text}");
            assert!(text.contains(&format!("\nTotal-Records: {}\n\nLookup-File: shop_", delivery.records)));
            let lines: Vec<&str> = text.lines().collect();
            for (n, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("-File: ")) {
                let bytes = fs::read(delivery.manifest.with_file_name(value(line))).unwrap();
                let digest: String = Md5::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!((value(lines[n + 1]), value(lines[n + 2])), (digest, bytes.len().to_string()));
            }
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn source_files_have_the_rows_that_are_counted() {
        let dir = folder("sources");
        let sample = write_sample(&dir, &options(50_000, 30), &mut |_| {}).unwrap();
        let mut rejected = 0;
        for source in &sample.sources {
            let text = fs::read_to_string(&source.path).unwrap();
            let rows = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#')).count() - 1;
            assert_eq!(rows as u64, source.accepted + source.rejected, "{}", source.name);
            assert!(source.path.with_extension("fin").exists() && source.accepted > 10, "{source:?}");
            rejected += source.rejected;
        }
        assert_eq!(rejected, 7);
        let ambiguous: u64 = sample.sources.iter().map(|source| source.ambiguous).sum();
        assert!(ambiguous > 0);
        assert_eq!(sample.sources[0].expired, 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn small_and_odd_samples_are_whole() {
        for (hits, days, visitors) in [(0, 1, None), (30, 40, None), (5000, 1, Some(3)), (100, 2, Some(1000))] {
            let dir = folder("odd");
            let options = SampleOptions { visitors, ..options(hits, days) };
            let sample = write_sample(&dir, &options, &mut |_| {}).unwrap();
            let records: u64 = sample.deliveries.iter().map(|delivery| delivery.records).sum();
            assert_eq!((records, sample.hits), (hits.max(22), hits.max(22)));
            fs::remove_dir_all(dir).unwrap();
        }
        let wrong = SampleOptions { suite: "../x".into(), ..options(10, 1) };
        assert!(write_sample(&folder("wrong"), &wrong, &mut |_| {}).is_err());
    }
}
