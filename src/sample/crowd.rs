//! The crowd: who visits when, and what for, computed for any visitor and visit without holding the others.
//!
//! The hits of visitor `v` are a difference of two running totals, so that all visitors' hits add up to exactly the
//! number asked for; the same holds for the visits of a visitor. Nothing but a visitor's number is ever stored.

use std::ops::Range;

use super::calendar::{Calendar, DAY_SECONDS};
use super::catalogue::{CAMPAIGNS, COUNTRIES, Campaign, Channel, DEVICES, ENGINES, KEYWORDS, REFERRERS, SOCIAL};
use super::hit::{Entry, Person};
use super::random::{Random, Zipf, mix};

/// Visitors whose weights repeat.
const BLOCK: u64 = 1024;

/// A campaign holds this long, as the tracking code's expiry of many suites.
const CAMPAIGN_SECONDS: u32 = 30 * DAY_SECONDS;

/// What a visitor who never set foot offline is made of.
#[derive(Debug)]
pub struct Crowd {
    seed: u64,
    hits: u64,
    visitors: u64,
    weights_before: Vec<u64>,
    weight: u64,
    campaigns: Zipf,
    pub calendar: Calendar,
}

/// A visitor with at least one hit.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    pub number: u64,
    pub key: u64,
    hits: u64,
    visits: u64,
}

/// When a visit starts; 12 bytes, all that is held of a day's visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VisitStart {
    pub time: u32,
    pub visitor: u32,
    pub visit: u32,
}

/// What a visit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Browse,
    /// Ends with a purchase; `reload`: the thank-you page is loaded once more.
    Order {
        reload: bool,
    },
    /// Ends with a request for advice.
    Lead,
}

/// One visit of a visitor, decided.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    pub start: u32,
    pub hits: u32,
    pub key: u64,
    pub campaign: Option<Campaign>,
    pub entry: Entry,
    pub excluded: bool,
    pub background: bool,
    pub purpose: Purpose,
    /// The visitor logs in on the second hit.
    pub login: bool,
}

impl Crowd {
    /// A crowd of `visitors` (at most `hits`) that makes exactly `hits` hits within the calendar.
    pub fn new(seed: u64, hits: u64, visitors: u64, calendar: Calendar) -> Self {
        let mut random = Random::new(mix(seed, 0xc0de));
        let mut sum = 0;
        let mut weights_before = vec![0];
        for _ in 0..BLOCK {
            sum += u64::from(match random.below(100) {
                0..45 => 1 + random.below(3),
                45..80 => 4 + random.below(9),
                80..95 => 13 + random.below(28),
                _ => 41 + random.below(80),
            });
            weights_before.push(sum);
        }
        let mut crowd =
            Self { seed, hits, visitors, weights_before, weight: 1, campaigns: Zipf::new(CAMPAIGNS.len()), calendar };
        crowd.weight = crowd.weight_before(visitors).max(1);
        crowd
    }

    /// The visits that start on a day, in order of time.
    pub fn visits_of(&self, day: u32) -> Vec<VisitStart> {
        let span = self.calendar.positions_of(day);
        let mut starts = Vec::new();
        for number in 0..self.visitors {
            let Some(visitor) = self.visitor(number) else { continue };
            for visit in self.visits_near(visitor, &span) {
                let position = self.position(visitor, visit);
                if span.contains(&position) {
                    let time = self.calendar.instant(position);
                    starts.push(VisitStart { time, visitor: number as u32, visit: visit as u32 });
                }
            }
        }
        starts.sort_unstable();
        starts
    }

    /// The visitor of a number, or None where that one has no hit.
    pub fn visitor(&self, number: u64) -> Option<Visitor> {
        if number >= self.visitors {
            return None;
        }
        let hits = self.hits_before(number + 1) - self.hits_before(number);
        let key = mix(self.seed, number);
        let wanted = 1 + hits.saturating_sub(1) * (8 + key % 17) / 96;
        let visits = wanted.min(2 * u64::from(self.calendar.days())).min(60);
        (hits > 0).then_some(Visitor { number, key, hits, visits })
    }

    /// The visitor's id and devices.
    pub fn person(&self, visitor: Visitor) -> Person {
        let mut random = Random::new(visitor.key);
        let country = [0, 0, 0, 0, 1, 1, 2, 2, 3, 4][random.below(10) as usize % (2 * COUNTRIES.len())];
        let device = [0, 0, 0, 1, 1, 1, 2, 2, 3, 4][random.below(10) as usize % (2 * DEVICES.len())];
        let device = if is_robot(visitor) { DEVICES.len() } else { device };
        // Above 2^62, so that no id of the story's visitors is ever drawn.
        let half = |salt| mix(visitor.key, salt) >> 2 | 1 << 62;
        Person { visid: (half(1), half(2)), country, device, key: visitor.key }
    }

    /// Visit `index` (from 0) of a visitor.
    pub fn visit(&self, visitor: Visitor, index: u64) -> Visit {
        let key = visit_key(visitor, index);
        let hits = (self.visit_hits_before(visitor, index + 1) - self.visit_hits_before(visitor, index)) as u32;
        let campaign = self.campaign(visitor, index);
        let mut random = Random::new(mix(key, 3));
        // half of the robots are known as such; the others stand for an app in the background
        let (uncounted, background) = (is_robot(visitor), is_robot(visitor) && visitor.key >> 40 & 1 == 1);
        let purpose = match random.below(1000) {
            _ if uncounted => Purpose::Browse,
            0..95 if hits >= 7 => Purpose::Order { reload: random.chance(120) },
            95..112 if hits >= 4 => Purpose::Lead,
            _ => Purpose::Browse,
        };
        let login = !uncounted && hits >= 3 && self.customer(visitor).is_some() && random.chance(600);
        let start = self.calendar.instant(self.position(visitor, index));
        Visit {
            start,
            hits,
            key,
            campaign,
            entry: entry(campaign, &mut random),
            excluded: uncounted && !background,
            background,
            purpose,
            login,
        }
    }

    /// The tracking code that holds at visit `index`: that of the latest visit with one, of the last 30 days.
    pub fn persisted_campaign(&self, visitor: Visitor, index: u64) -> Option<Campaign> {
        let now = self.calendar.instant(self.position(visitor, index));
        (0..=index)
            .rev()
            .take_while(|&i| now - self.calendar.instant(self.position(visitor, i)) <= CAMPAIGN_SECONDS)
            .find_map(|i| self.campaign(visitor, i))
    }

    /// The number of the customer that a visitor is, once logged in. Some customers are two visitors.
    pub fn customer(&self, visitor: Visitor) -> Option<u64> {
        if self.shares_customer(visitor) {
            Some(visitor.number & !1)
        } else {
            (mix(visitor.key, 4) % 100 < 20).then_some(visitor.number)
        }
    }

    /// The other visitor who logs in as the same customer, at any time, if there is one.
    pub fn other_device(&self, visitor: Visitor) -> Option<Visitor> {
        let other = self.visitor(visitor.number ^ 1)?;
        let logs_in = (0..other.visits).any(|index| self.visit(other, index).login);
        (self.shares_customer(visitor) && logs_in).then_some(other)
    }

    fn shares_customer(&self, visitor: Visitor) -> bool {
        mix(self.seed ^ 0x2de7, visitor.number >> 1) % 100 < 4
    }

    fn campaign(&self, visitor: Visitor, index: u64) -> Option<Campaign> {
        let mut random = Random::new(mix(visit_key(visitor, index), 5));
        random.chance(420).then(|| CAMPAIGNS[self.campaigns.pick(&mut random)])
    }

    fn weight_before(&self, number: u64) -> u64 {
        number / BLOCK * self.weights_before[BLOCK as usize] + self.weights_before[(number % BLOCK) as usize]
    }

    fn hits_before(&self, number: u64) -> u64 {
        self.hits * self.weight_before(number) / self.weight
    }

    /// Where in the calendar a visit starts: one in each equal part, with a quarter of a part between any two.
    fn position(&self, visitor: Visitor, index: u64) -> u64 {
        let chance = (visit_key(visitor, index) & 0xf_ffff) * 3 / 4;
        ((index << 20) + chance) * self.calendar.positions() / (visitor.visits << 20)
    }

    /// The visits that may start within `span`.
    fn visits_near(&self, visitor: Visitor, span: &Range<u64>) -> Range<u64> {
        let part = |position| position * visitor.visits / self.calendar.positions();
        part(span.start)..(part(span.end) + 1).min(visitor.visits)
    }

    /// Hits of a visitor before a visit; at least one for each visit.
    fn visit_hits_before(&self, visitor: Visitor, index: u64) -> u64 {
        if index == visitor.visits {
            return visitor.hits;
        }
        let chance = if index == 0 { 0 } else { (visit_key(visitor, index) >> 40 & 0xffff) * 7 / 8 };
        index + (visitor.hits - visitor.visits) * ((index << 16) + chance) / (visitor.visits << 16)
    }
}

fn visit_key(visitor: Visitor, index: u64) -> u64 {
    mix(visitor.key ^ 0x0715, index)
}

fn is_robot(visitor: Visitor) -> bool {
    mix(visitor.key, 6) % 1000 < 6
}

fn entry(campaign: Option<Campaign>, random: &mut Random) -> Entry {
    let channel = campaign.map_or_else(
        || random.pick(&[Channel::Direct, Channel::Direct, Channel::NaturalSearch, Channel::Referral, Channel::Social]),
        |campaign| campaign.channel,
    );
    let mut entry = Entry { channel, ..Entry::default() };
    match channel {
        Channel::PaidSearch | Channel::NaturalSearch => {
            (entry.engine, entry.referring_domain) = random.pick(&ENGINES);
            entry.keyword = random.pick(&KEYWORDS);
        }
        Channel::Social => entry.referring_domain = random.pick(&SOCIAL),
        Channel::Display | Channel::Affiliate | Channel::Referral => entry.referring_domain = random.pick(&REFERRERS),
        Channel::Email | Channel::Direct => {}
    }
    entry.detail = campaign.map_or(entry.referring_domain, |campaign| campaign.code);
    entry
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn visits_come_in_order_and_hits_add_up() {
        let first = NaiveDate::from_ymd_opt(2026, 10, 2).unwrap();
        for (hits, visitors, days) in [(50_000, 4_000, 30), (1000, 7, 1), (9, 9, 3), (10_000, 2, 90)] {
            let crowd = Crowd::new(5, hits, visitors, Calendar::new(first, days, 5));
            let mut total = 0;
            for visitor in (0..visitors).filter_map(|n| crowd.visitor(n)) {
                let visits: Vec<Visit> = (0..visitor.visits).map(|i| crowd.visit(visitor, i)).collect();
                assert!(visits.windows(2).all(|w| w[0].start + 5400 < w[1].start), "{visits:?}");
                assert!(visits.iter().all(|v| v.hits > 0));
                total += visits.iter().map(|v| u64::from(v.hits)).sum::<u64>();
            }
            assert_eq!(total, hits);
            let starts: usize = (0..days).map(|day| crowd.visits_of(day).len()).sum();
            let expected: u64 = (0..visitors).filter_map(|n| crowd.visitor(n)).map(|v| v.visits).sum();
            assert_eq!(starts as u64, expected, "each visit starts on exactly one day");
        }
    }
}
