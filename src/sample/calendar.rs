//! When people visit: maps evenly spread positions to instants that follow weekdays and hours of the day.
//!
//! The map is monotone, so visits spread evenly over positions stay in order in time. No instant is so late on the
//! last day that a visit (at most [`LONGEST_VISIT_SECONDS`]) would end after its midnight.

use std::ops::Range;

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use super::random::mix;

/// Upper bound of a crowd visit's length, first to last hit.
pub const LONGEST_VISIT_SECONDS: u32 = 3000;

/// Seconds in a day.
pub const DAY_SECONDS: u32 = 86_400;

/// Visits by weekday, Monday first.
const WEEKDAYS: [u64; 7] = [112, 106, 103, 101, 94, 78, 90];

/// Visits by hour of the day.
const HOURS: [u64; 24] = [6, 3, 2, 1, 1, 2, 4, 8, 11, 12, 13, 13, 14, 13, 12, 12, 12, 13, 15, 17, 18, 16, 13, 9];

/// The days of a sample.
#[derive(Debug)]
pub struct Calendar {
    first: NaiveDate,
    first_midnight: u32,
    /// Position at which each day starts, and the end.
    starts: Vec<u64>,
}

impl Calendar {
    /// `days` days from `first`, busier or quieter by a few percent by chance. At least one day.
    pub fn new(first: NaiveDate, days: u32, seed: u64) -> Self {
        let mut starts = vec![0];
        let mut sum = 0;
        for day in 0..days {
            let weekday = (first.weekday().num_days_from_monday() + day) % 7;
            let chance = 940 + mix(seed ^ 0xca1e, u64::from(day)) % 121;
            sum += WEEKDAYS[weekday as usize] * chance * 64;
            starts.push(sum);
        }
        Self { first, first_midnight: midnight(first), starts }
    }

    /// The number of days.
    pub fn days(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    /// The date of a day.
    pub fn date(&self, day: u32) -> NaiveDate {
        self.first + Days::new(u64::from(day))
    }

    /// The first instant of a day (epoch seconds).
    pub fn midnight(&self, day: u32) -> u32 {
        self.first_midnight + day * DAY_SECONDS
    }

    /// One past the last position.
    pub fn positions(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// The positions of a day.
    pub fn positions_of(&self, day: u32) -> Range<u64> {
        self.starts[day as usize]..self.starts[day as usize + 1]
    }

    /// The instant (epoch seconds) of a position.
    pub fn instant(&self, position: u64) -> u32 {
        let day = self.starts.partition_point(|&start| start <= position).clamp(1, self.starts.len() - 1) - 1;
        let (start, end) = (self.starts[day], self.starts[day + 1]);
        let total: u64 = HOURS.iter().sum();
        let mut rest = (position - start) * total * 3600 / (end - start);
        let mut seconds = 0;
        for weight in HOURS {
            if rest < weight * 3600 {
                seconds += rest / weight;
                break;
            }
            rest -= weight * 3600;
            seconds += 3600;
        }
        if day as u32 + 1 == self.days() {
            let open = u64::from(DAY_SECONDS - LONGEST_VISIT_SECONDS - 1);
            seconds = seconds * open / u64::from(DAY_SECONDS);
        }
        self.midnight(day as u32) + seconds as u32
    }
}

/// The first instant of a date (epoch seconds, from 1970 to 2105).
pub fn midnight(date: NaiveDate) -> u32 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp() as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn instants_are_monotone_and_stay_in_their_day() {
        let calendar = Calendar::new(NaiveDate::from_ymd_opt(2026, 10, 2).unwrap(), 9, 3);
        let mut before = 0;
        for day in 0..calendar.days() {
            let span = calendar.positions_of(day);
            for i in 0..500 {
                let instant = calendar.instant(span.start + (span.end - span.start) * i / 500);
                assert!(instant >= before && instant - calendar.midnight(day) < DAY_SECONDS);
                before = instant;
            }
        }
        let last = calendar.instant(calendar.positions() - 1);
        assert!(last + LONGEST_VISIT_SECONDS < calendar.midnight(9));
    }
}
