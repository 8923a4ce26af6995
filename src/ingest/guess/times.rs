//! When rows happened: a time, a day and a clock beside it, or a year, a month and a day.
//!
//! In: the columns of a file. Out: what a mapping says as `time`, and what is to be said of it: what cannot be known, and
//! which columns hold days or clocks that it does not use.

use chrono_tz::Tz;

use super::column::{Column, is_one_of, printable, quoted};
use super::free_columns::{By, FreeColumns};
use super::headings::{CLOCK_BESIDE, DAY, MOMENT, MONTH, Word, YEAR, ZONE, are_of_one, unit};
use super::words::{CLOCK, TIME};
use super::written::{Form, ISO_DAY, forms_of};
use crate::feed::row_issue::clip;
use crate::ingest::cells::{Instant, time_in};
use crate::quote;

/// Columns of clocks of which it is said that they are not used, and names of those of days.
const MAX_CLOCKS: usize = 5;
const MAX_DAYS: usize = 12;
/// So much of a text is shown.
const MAX_SHOWN_BYTES: usize = 40;

const WHICH_FIRST: &str = "the day first, or the month?";

/// When rows happened.
pub(super) struct When {
    pub value: String,
    /// What is to be asked of it, on its line.
    pub question: &'static str,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    pub zone: Zone,
    /// Rows have a day, and no time of it.
    pub is_day: bool,
    /// What is to be said of it.
    pub notes: Vec<String>,
    /// Its days, which may still have a clock.
    days: Option<Days>,
}

/// Where clocks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// It is told with them, or is not needed.
    Told,
    /// A heading says it.
    Named(String),
    /// Nobody says it.
    Open,
}

/// Days as texts: an expression, and the formats that fit.
#[derive(Clone)]
struct Days {
    sql: String,
    formats: Vec<String>,
}

impl Days {
    /// With a clock beside them.
    fn with(&self, clock: &Column) -> Option<String> {
        let (day, clock_format) = (self.formats.first()?, clock.clock()?);
        let both = format!("concat({}, ' ', {})", self.sql, clock.text_sql());
        Some(format!("to_timestamp({both}, {})", quote::literal(&format!("{day} {clock_format}"))))
    }

    /// As ISO 8601 writes them.
    fn iso(&self) -> Option<String> {
        let format = self.formats.first()?;
        if format == ISO_DAY {
            return Some(self.sql.clone());
        }
        Some(format!("to_char(to_date({}, {}), '{ISO_DAY}')", self.sql, quote::literal(format)))
    }

    fn question(&self) -> &'static str {
        if self.formats.len() > 1 { WHICH_FIRST } else { "" }
    }
}

/// Finds it among columns, which get their places.
pub(super) fn when(columns: &mut FreeColumns<'_>) -> Option<When> {
    let parts = calendar(columns);
    let is_part = |column: &Column| parts.iter().flatten().any(|part| std::ptr::eq(*part, column));
    let is_clock =
        |column: &Column| column.shows_clock() || column.words.contains(&Word::Time) && column.clock().is_some();
    let is_moment = |column: &Column| !is_part(column) && !is_clock(column);
    let is_any = |column: &Column| column.is_time() || column.has_days();
    let may_be = |column: &Column| {
        let says_nothing = column.is_empty() || column.values.is_none();
        is_moment(column) && (says_nothing || is_any(column) || column.unit().is_some())
    };
    let named = columns.first(&[By::Names(TIME, &is_moment), By::Words(&MOMENT, &may_be)]);
    if named.is_none()
        && let Some(parts) = parts
    {
        return Some(of_parts(columns, parts));
    }
    let (column, question) = match named {
        Some(column) => (column, ""),
        None => {
            let is_other = |column: &Column| column.words.contains(&Word::Other);
            let found: Vec<&Column> = columns.free().filter(|column| is_any(column)).collect();
            let column = found.iter().find(|column| !is_other(column)).or(found.first()).copied()?;
            columns.take(column);
            (column, if is_other(column) { "its name says something else: is it this one?" } else { "" })
        }
    };
    let mut when = of_column(columns, column);
    if when.question.is_empty() {
        when.question = question;
    }
    Some(when)
}

/// Columns of years, months and days of the month.
fn calendar<'a>(columns: &FreeColumns<'a>) -> Option<[&'a Column; 3]> {
    let year = columns.find(&[By::Words(&YEAR, &|column| column.is_within(1970, 2999))])?;
    let month = columns.find(&[By::Words(&MONTH, &|column| column.is_within(1, 12))])?;
    let day = columns.find(&[By::Words(&DAY, &|column| column.is_within(1, 31))])?;
    Some([year, month, day])
}

fn of_parts<'a>(columns: &mut FreeColumns<'a>, parts: [&'a Column; 3]) -> When {
    for part in parts {
        columns.take(part);
    }
    let [year, month, day] = parts.map(Column::text_sql);
    let days = Days { sql: format!("concat({year}, '-', {month}, '-', {day})"), formats: vec![ISO_DAY.into()] };
    let clock = clock_beside(columns, parts[2]);
    by_clock(columns, parts[2], days.clone(), clock).unwrap_or_else(|| When {
        value: format!("to_date({}, '{ISO_DAY}')", days.sql),
        question: "",
        unit: None,
        zone: Zone::Told,
        is_day: true,
        notes: vec![],
        days: Some(days),
    })
}

fn of_column<'a>(columns: &mut FreeColumns<'a>, column: &'a Column) -> When {
    let formats = column.days();
    let days = (!formats.is_empty()).then(|| Days { sql: column.text_sql(), formats });
    if let Some(days) = &days {
        let clock = clock_beside(columns, column);
        if let Some(when) = by_clock(columns, column, days.clone(), clock) {
            return when;
        }
    }
    let unit = column.unit();
    if column.has_day_numbers() {
        let value = days.as_ref().and_then(|days| Some(format!("to_date({}, '{}')", days.sql, days.formats.first()?)));
        let value = value.unwrap_or_else(|| column.value.clone());
        return When { value, question: "", unit: None, zone: Zone::Told, is_day: true, notes: vec![], days };
    }
    let (value, question, is_day, mut notes) = whole(column);
    let is_formatted = value != column.value;
    let has_clock = !is_day && unit.is_none() && (column.is_by_clock() || is_formatted && !value.contains("%#z"));
    if !has_clock {
        return When { value, question, unit, zone: Zone::Told, is_day, notes, days };
    }
    let midnights = column.days();
    if let Some(format) = midnights.first().filter(|format| format.as_str() != ISO_DAY) {
        let day = format!("to_date({}, {})", column.text_sql(), quote::literal(format));
        notes.push(format!("All these times are midnight; where the day alone is known, time = {}", quoted(&day)));
    }
    let shown = match is_formatted {
        true => format!("to_char({value}, '%Y-%m-%d %H:%M:%S')"),
        false => column.sql(),
    };
    let (zone, zoned, told) = in_zone(columns, &[column], &shown);
    notes.extend(told);
    When { value: zoned.unwrap_or(value), question, unit, zone, is_day, notes, days }
}

/// The column that says what the clock shows on the days of another one, which gets its place.
fn clock_beside<'a>(columns: &mut FreeColumns<'a>, day: &Column) -> Option<&'a Column> {
    let of_what = |column: &Column| CLOCK_BESIDE.rank(&column.words).filter(|_| are_of_one(&day.words, &column.words));
    let likely = |column: &'a Column| {
        let is_named = column.plain.iter().any(|name| is_one_of(name, CLOCK));
        // what says the same of itself comes before what says nothing
        let has_subject = CLOCK_BESIDE.has_subject(&day.words) && CLOCK_BESIDE.has_subject(&column.words);
        let rank = match (of_what(column), is_named) {
            (Some(_), _) if has_subject => 0,
            (_, true) => 1,
            (Some(rank), false) => 2 + rank,
            (None, false) => return None,
        };
        column.clock().map(|_| (rank, column))
    };
    let (_, clock) = columns.free().filter_map(likely).min_by_key(|(rank, _)| *rank)?;
    columns.take(clock);
    Some(clock)
}

/// Days with a clock beside them.
fn by_clock<'a>(columns: &mut FreeColumns<'a>, day: &Column, days: Days, clock: Option<&'a Column>) -> Option<When> {
    let clock = clock?;
    let value = days.with(clock)?;
    let question = days.question();
    if value.contains("%#z") {
        let (unit, notes) = (None, vec![]);
        return Some(When { value, question, unit, zone: Zone::Told, is_day: false, notes, days: None });
    }
    let shown = format!("concat({}, ' ', {})", days.iso()?, clock.text_sql());
    let (zone, zoned, told) = in_zone(columns, &[clock, day], &shown);
    let notes = told.into_iter().collect();
    Some(When { value: zoned.unwrap_or(value), question, unit: None, zone, is_day: false, notes, days: None })
}

/// Where a clock is: the zone, what it shows with the zone that another column says, which gets its place, and what is to be
/// said of a column that says none. `by` are the columns that say the time, that of the clock first.
fn in_zone(columns: &mut FreeColumns<'_>, by: &[&Column], shown: &str) -> (Zone, Option<String>, Option<String>) {
    let named = zone_of(by);
    let found = columns.find(&[By::Words(&ZONE, &|column| !column.written().is_empty())]);
    let (Some(zone), Some(clock), Zone::Open) = (found, by.first(), &named) else { return (named, None, None) };
    let needs_no_format =
        |format: &str| matches!(format, "%H:%M:%S" | "%H:%M" | "%I:%M:%S %p" | "%I:%M %p" | "%H:%M:%S%.f");
    let half = if clock.clock().is_some_and(|format| format.contains("%p")) { " PM" } else { "" };
    let reads = |text: &String| matches!(time_in(&format!("2026-09-01 10:00{half} {text}")), Some(Instant::At(_)));
    let texts = zone.written();
    // what looks like a number would be taken for one
    let is_text = !zone.texts().is_empty();
    if is_text && clock.clock().is_none_or(needs_no_format) && texts.iter().all(reads) {
        columns.take(zone);
        return (Zone::Told, Some(format!("concat({shown}, ' ', {})", zone.text_sql())), None);
    }
    let first = texts.first().map_or("", String::as_str);
    let told = format!(
        "{} is not used: {:?} is no zone that is known; name it as time_zone",
        short(&zone.name),
        clip(first, MAX_SHOWN_BYTES)
    );
    (named, None, Some(told))
}

/// The zone that headings say: `Time (UTC)`, `created_at_gmt`, `Start (Europe/Berlin)`.
fn zone_of(columns: &[&Column]) -> Zone {
    let named = |column: &&Column| match unit(&column.name).map(|unit| (unit, unit.parse::<Tz>())) {
        Some((zone, Ok(_))) if zone.contains('/') || ["CET", "EET", "WET"].contains(&zone) => Some(zone.to_string()),
        _ => column.words.contains(&Word::Utc).then(|| "UTC".to_string()),
    };
    columns.iter().find_map(named).map_or(Zone::Open, Zone::Named)
}

/// A column that says days or times by itself: its value, a question, whether all are days, and what is to be said.
fn whole(column: &Column) -> (String, &'static str, bool, Vec<String>) {
    let raw = |is_day: bool, notes: Vec<String>| (column.value.clone(), "", is_day, notes);
    let texts = column.texts();
    if texts.is_empty() || column.unit().is_some() {
        return raw(column.is_day(), vec![]);
    }
    let read: Vec<Instant> = texts.iter().filter_map(|text| time_in(text)).collect();
    if read.len() == texts.len() {
        return raw(read.iter().all(|instant| matches!(instant, Instant::Day(_))), vec![]);
    }
    let (all, most) = forms_of(&texts);
    let written = |form: &Form| {
        let function = if form.is_day { "to_date" } else { "to_timestamp" };
        format!("{function}({}, {})", column.sql(), quote::literal(&form.format))
    };
    if let Some(form) = all.first() {
        let question = if all.contains(&form.swapped()) { WHICH_FIRST } else { "" };
        return (written(form), question, form.is_day, vec![]);
    }
    let others = |fits: usize, is_odd: &dyn Fn(&String) -> bool| {
        let odd = texts.iter().find(|text| is_odd(text)).map_or("", String::as_str);
        let (of, odd) = (texts.len() - fits, clip(odd, MAX_SHOWN_BYTES));
        let rows = format!("{of} of the first {} rows say their time in a way that is not read", texts.len());
        format!("{rows}, such as {odd:?}: they would be rejected")
    };
    match most.filter(|(_, fits)| *fits > read.len()) {
        Some((form, fits)) => {
            let mut notes = vec![others(fits, &|text: &String| !form.fits(text))];
            if texts.iter().any(|text| !form.fits(text) && form.swapped().fits(text)) {
                let mixed = "In some rows the day comes first and in others the month";
                notes.push(format!("{mixed}; which it is in 01/02 cannot be known"));
            }
            (written(&form), "", form.is_day, notes)
        }
        None => raw(false, vec![others(read.len(), &|text: &String| time_in(text).is_none())]),
    }
}

/// Columns that hold clocks or days and have no place: what is to be said of each.
pub(super) fn unused(columns: &FreeColumns<'_>, when: Option<&When>) -> Vec<String> {
    let clocks: Vec<&Column> = columns.free().filter(|column| column.shows_clock()).collect();
    let days = when.and_then(|when| when.days.as_ref());
    let mut notes: Vec<String> = clocks
        .iter()
        .take(MAX_CLOCKS)
        .map(|clock| {
            let time = days.and_then(|days| days.with(clock)).map(|time| format!("time = {}", quoted(&time)));
            let of_day = time.map_or_else(String::new, |time| format!("where it belongs to the days, {time}; "));
            let length = format!("a length of time is parse_duration({})", printable(&clock.sql()));
            format!("Not used: {}, which holds clocks; {of_day}{length}", short(&clock.name))
        })
        .collect();
    if clocks.len() > MAX_CLOCKS {
        notes.push(format!("Not used: {} more columns of clocks", clocks.len() - MAX_CLOCKS));
    }
    let is_days = |column: &&Column| !column.shows_clock() && (column.is_time() || column.has_days());
    let days: Vec<String> = columns.free().filter(is_days).map(|column| short(&column.name)).collect();
    if !days.is_empty() {
        let more = days.len().saturating_sub(MAX_DAYS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let some = days.iter().take(MAX_DAYS).map(String::as_str).collect::<Vec<_>>().join(", ");
        let hold = if days.len() == 1 { "holds" } else { "hold" };
        let advice = "name it as time where rows happened then";
        notes.push(format!("Not used: {some}{more}, which {hold} days or times; {advice}"));
    }
    notes
}

/// A name for a comment.
fn short(name: &str) -> String {
    printable(clip(name, MAX_SHOWN_BYTES))
}
