//! The next run, given the last one; and how long a step that failed is tried again. Pure: the time is an argument.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::timetable::Timetable;
use crate::lake::records::Run;
use crate::{ErrorKind, Result};

/// A run that was broken off: it is run again at once.
pub const STOPPED: &str = "stopped";

/// The longest pause between two tries of a step.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Somebody else was faster so often: it is no accident.
const MAX_CONFLICTS: u32 = 3;

/// Which runs there are to come.
#[derive(Clone, Debug)]
pub struct Agenda {
    timetable: Timetable,
    /// When an interval was due once.
    anchor: DateTime<Utc>,
    next: DateTime<Utc>,
}

impl Agenda {
    /// The agenda of a runner that starts `now` and finds that `last` was the last run. Of the runs that were missed
    /// meanwhile one is due at once. Without a last run an interval begins now, and a cron expression at its next time.
    pub fn new(timetable: Timetable, last: Option<&Run>, now: DateTime<Utc>) -> Result<Self> {
        let due = last.and_then(|run| run.due);
        let anchor = due.unwrap_or(now);
        let next = match (last, &timetable) {
            (Some(run), _) if run.status == STOPPED => anchor,
            (Some(run), _) => timetable.after(run.started.unwrap_or(anchor), anchor)?,
            (None, Timetable::Interval { .. }) => now,
            (None, Timetable::Cron { .. }) => timetable.after(now, anchor)?,
        };
        Ok(Self { timetable, anchor, next })
    }

    /// When the next run is due; in the past where it was missed.
    pub fn next(&self) -> DateTime<Utc> {
        self.next
    }

    /// A run has started at `now`, and covers all that were due until then. Gives when it was due.
    pub fn start(&mut self, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
        let due = self.next;
        // a clock that was put back must not give the same run twice
        self.next = self.timetable.after(now.max(due), self.anchor)?;
        Ok(due)
    }
}

/// How long to wait before a failed step is tried again; None where that is no use. `tries` counts those that failed,
/// `waited` is the time since the first of them, `patience` how long that may be.
pub fn pause(kind: ErrorKind, tries: u32, waited: Duration, patience: Duration) -> Option<Duration> {
    let pause = Duration::from_secs(1 << tries.saturating_sub(1).min(16)).min(MAX_PAUSE);
    let of_use = match kind {
        ErrorKind::Unavailable => true,
        ErrorKind::Conflict => tries < MAX_CONFLICTS,
        _ => false,
    };
    (of_use && waited + pause <= patience).then_some(pause)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::{TimeDelta, Timelike};

    use super::*;

    const BERLIN: chrono_tz::Tz = chrono_tz::Europe::Berlin;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ran(due: DateTime<Utc>, started: DateTime<Utc>, status: &str) -> Run {
        Run { due: Some(due), started: Some(started), status: status.into(), ..Run::default() }
    }

    /// A runner through a whole year: runs take a while, some take hours, and twice the machine is off. No time passes.
    #[test]
    fn a_year_of_runs() {
        for (zone, timetable) in [
            (BERLIN, Timetable::cron("30 2,14 * * *", BERLIN).unwrap()),
            (chrono_tz::America::New_York, Timetable::every("6h", chrono_tz::America::New_York).unwrap()),
            (BERLIN, Timetable::every("1d", BERLIN).unwrap()),
        ] {
            let end = utc("2027-01-01T00:00:00Z");
            let mut now = utc("2026-01-01T00:00:00Z");
            let off = [
                (utc("2026-02-10T00:00:00Z"), utc("2026-02-13T09:17:00Z")),
                (utc("2026-03-28T20:00:00Z"), utc("2026-03-29T08:00:00Z")),
            ];
            let mut runs: Vec<Run> = vec![];
            let mut agenda = Agenda::new(timetable.clone(), None, now).unwrap();
            for number in 0.. {
                now = now.max(agenda.next());
                if let Some((_, back)) = off.iter().find(|(from, to)| (*from..*to).contains(&now)) {
                    now = *back;
                    agenda = Agenda::new(timetable.clone(), runs.last(), now).unwrap();
                    assert!(agenda.next() <= now, "what was missed is due at once");
                }
                if now >= end {
                    break;
                }
                let due = agenda.start(now).unwrap();
                runs.push(ran(due, now, "ok"));
                // every hundredth run takes 20 hours
                now += TimeDelta::minutes(if number % 100 == 99 { 1200 } else { 3 });
            }
            for (run, next) in runs.iter().zip(&runs[1..]) {
                let [started, due] = [run.started.unwrap(), next.due.unwrap()];
                assert!(due > started, "{zone}: a run that was covered is not due again");
                assert_eq!(due, timetable.after(started, runs[0].due.unwrap()).unwrap(), "{zone}: the first after it");
                assert!(next.started.unwrap() >= due && next.started.unwrap() > started, "{zone}: no overlap");
            }
            let late = runs.iter().filter(|r| r.started.unwrap() > r.due.unwrap());
            let late: Vec<_> = late.map(|r| r.started.unwrap()).collect();
            for (_, back) in off {
                assert!(late.contains(&back), "{zone}: the missed runs are caught up once");
            }
            assert!(late.len() <= 2 + runs.len() / 100, "{zone}: {late:?}");
        }
    }

    #[test]
    fn a_first_run_and_one_that_was_broken_off() {
        let now = utc("2026-05-01T10:20:00Z");
        let cron = Timetable::cron("0 4 * * *", BERLIN).unwrap();
        let every = Timetable::every("1h", BERLIN).unwrap();
        assert_eq!(Agenda::new(cron.clone(), None, now).unwrap().next(), utc("2026-05-02T02:00:00Z"));
        assert_eq!(Agenda::new(every, None, now).unwrap().next(), now);
        let due = utc("2026-05-01T02:00:00Z");
        let mut agenda = Agenda::new(cron.clone(), Some(&ran(due, due, STOPPED)), now).unwrap();
        assert_eq!((agenda.start(now).unwrap(), agenda.next()), (due, utc("2026-05-02T02:00:00Z")));
        // a run that failed has had its turn
        assert_eq!(Agenda::new(cron, Some(&ran(due, due, "failed")), now).unwrap().next(), utc("2026-05-02T02:00:00Z"));
    }

    #[test]
    fn a_clock_that_was_put_back_repeats_no_run() {
        let mut agenda =
            Agenda::new(Timetable::every("1h", BERLIN).unwrap(), None, utc("2026-05-01T10:00:00Z")).unwrap();
        agenda.start(utc("2026-05-01T10:00:00Z")).unwrap();
        let next = agenda.next();
        agenda.start(utc("2026-05-01T10:30:00Z")).unwrap();
        assert!(agenda.next() > next && agenda.next().minute() == 0);
    }

    #[test]
    fn pauses_grow_and_end() {
        let hour = Duration::from_secs(3600);
        let pauses = |kind, patience| {
            let (mut waited, mut tries, mut all) = (Duration::ZERO, 1, vec![]);
            while let Some(next) = pause(kind, tries, waited, patience) {
                all.push(next.as_secs());
                waited += next;
                tries += 1;
            }
            all
        };
        let all = pauses(ErrorKind::Unavailable, hour);
        assert_eq!(all[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!((3300..=3600).contains(&all.iter().sum::<u64>()), "{all:?}");
        assert_eq!(pauses(ErrorKind::Unavailable, Duration::from_secs(60)), [1, 2, 4, 8, 16]);
        assert_eq!(pauses(ErrorKind::Conflict, hour), [1, 2]);
        for useless in
            [ErrorKind::Refused, ErrorKind::Configuration, ErrorKind::Usage, ErrorKind::Query, ErrorKind::Bug]
        {
            assert_eq!(pauses(useless, hour), [0; 0]);
        }
    }
}
