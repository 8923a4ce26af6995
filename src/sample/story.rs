//! Visitors whose journeys are written hit by hit: three stories, and cases of time and of IDs.
//!
//! Their tracking codes start with `story:` and nobody else has them, so reports on these are small and exact. With
//! `n` days, a "day k" below is the sample's day k or its last one. Beside the [`STORIES`]:
//!
//! * Visitor `1004_1`, `story:early`. Day 1, 14:00: lead `LEARLY1`; its record (`event10` 1) says 09:30 of that day and
//!   matches. Day 6, 18:20: lead `LNOON1`; its record (`event10` 1) has that date and no time: it stands at the hit.
//!   Then a purchase of 25.00 whose hit has the IDs `LBOTH1,TBOTH1`: a closed deal (`event11` 1, `event12` 250) and a
//!   support call (`event13` 1). So `story:early` has event10 2, event11 1, event12 250, event13 1.
//! * Visitor `1005_1`, `story:expired`: lead `LEXPIRED1` 100 days before day 0; its record (`event10` 1) of day 3 is
//!   `expired` after 90 days, matched under `current` rules.

use super::calendar::{Calendar, DAY_SECONDS};
use super::catalogue::{Channel, Product};
use super::hit::{Entry, Hit, Person};
use super::page::Page;
use super::record::{CALLS, ExpectedStatus, LEADS, RETURNS, Record, When};
use super::visit::Totals;

/// How long before the first day the expired lead was.
pub const EARLY_DAYS: u32 = 100;

/// One case that the product exists for, with what reports must show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Story {
    pub title: &'static str,
    pub visitor_id: &'static str,
    pub transaction_id: &'static str,
    /// The metric and the dimension of the three reports.
    pub metric: &'static str,
    pub dimension: &'static str,
    /// The data source of the offline record.
    pub source: &'static str,
    /// All items of the dimension that the story's visitor has.
    pub rows: &'static [StoryRow],
}

/// What an item must show; None where the report has no such row, or NULL. All history, basis `event`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoryRow {
    pub item: &'static str,
    /// Sum of the metric by the dimension over `events`.
    pub plain: Option<f64>,
    /// Visit participation.
    pub visit: Option<f64>,
    /// Visitor participation.
    pub visitor: Option<f64>,
}

const fn row(item: &'static str, plain: Option<f64>, visit: Option<f64>, visitor: Option<f64>) -> StoryRow {
    StoryRow { item, plain, visit, visitor }
}

/// The stories: their visitors have exactly one conversion each, and (return) its reversal.
pub const STORIES: [Story; 3] = [
    Story {
        title: "a lead submitted online, closed by a salesman for 500",
        visitor_id: "1001_1",
        transaction_id: "LSTORY1",
        metric: "event12",
        dimension: "tracking_code",
        source: "leads",
        rows: &[row("story:email", Some(500.0), None, Some(500.0)), row("story:social", None, None, Some(500.0))],
    },
    Story {
        title: "an online purchase of 120, returned in a store",
        visitor_id: "1002_1",
        transaction_id: "TSTORY2",
        metric: "revenue",
        dimension: "tracking_code",
        source: "store_returns",
        rows: &[row("story:display", Some(0.0), Some(120.0), Some(0.0)), row("story:search", None, None, Some(0.0))],
    },
    Story {
        title: "a purchase followed by a support call",
        visitor_id: "1003_1",
        transaction_id: "TSTORY3",
        metric: "event13",
        dimension: "tracking_code",
        source: "support_calls",
        rows: &[row("story:affiliate", None, None, Some(1.0)), row("story:newsletter", Some(1.0), None, Some(1.0))],
    },
];

/// A visit written out in advance.
#[derive(Debug, Clone)]
pub struct StoryVisit {
    /// When the next hit comes; the visit's start before the first (epoch seconds).
    pub time: u32,
    start: u32,
    visitor: u64,
    visit_num: u32,
    channel: Channel,
    /// The tracking code that the first hit sets, and that which holds.
    campaign_set: &'static str,
    campaign: &'static str,
    steps: &'static [Step],
    done: usize,
}

/// One hit of a visit: page, events by their number in `event.tsv`, products and units, revenue cents, transaction IDs.
#[derive(Debug, Clone, Copy)]
struct Step {
    page: Page,
    event: u64,
    products: &'static str,
    units: u64,
    cents: u64,
    transaction_id: &'static str,
}

const fn see(page: Page) -> Step {
    Step { page, event: 0, products: "", units: 0, cents: 0, transaction_id: "" }
}

const fn view(rank: usize, products: &'static str) -> Step {
    Step { event: 2, products, ..see(Page::Product(Product { rank })) }
}

const fn lead(transaction_id: &'static str) -> Step {
    Step { event: 200, transaction_id, ..see(Page::LeadThanks) }
}

const fn buy(transaction_id: &'static str, products: &'static str, units: u64, cents: u64) -> Step {
    Step { event: 1, products, units, cents, transaction_id, ..see(Page::OrderThanks) }
}

/// Seconds between the hits of a story's visit.
const PAUSE_SECONDS: u32 = 40;

/// All visits of stories, in order of time but for the first, [`EARLY_DAYS`] before the calendar's first day.
pub fn visits(calendar: &Calendar) -> Vec<StoryVisit> {
    use Channel::{Affiliate, Display, Email, PaidSearch, Social};
    let visit = |visitor, visit_num, time, channel, set, campaign, steps| StoryVisit {
        time,
        start: time,
        visitor,
        visit_num,
        channel,
        campaign_set: set,
        campaign,
        steps,
        done: 0,
    };
    let first = |visitor, time, channel, code, steps| visit(visitor, 1, time, channel, code, code, steps);
    let second = |visitor, time, channel, code, steps| visit(visitor, 2, time, channel, code, code, steps);
    let early = calendar.midnight(0) - EARLY_DAYS * DAY_SECONDS + 11 * 3600;
    vec![
        first(1005, early, Email, "story:expired", const { &[see(Page::LeadForm), lead("LEXPIRED1")] }),
        first(
            1001,
            at(calendar, 0, 9, 0),
            Email,
            "story:email",
            const { &[see(Page::Home), see(Page::LeadForm), lead("LSTORY1")] },
        ),
        second(
            1001,
            at(calendar, 5, 15, 0),
            Social,
            "story:social",
            const { &[see(Page::Home), see(Page::Article(1))] },
        ),
        first(
            1002,
            at(calendar, 1, 10, 0),
            PaidSearch,
            "story:search",
            const { &[see(Page::Category(0)), view(0, "Boots & Shoes;Story Boots;;")] },
        ),
        second(
            1002,
            at(calendar, 3, 19, 0),
            Display,
            "story:display",
            const {
                &[
                    view(0, "Boots & Shoes;Story Boots;;"),
                    see(Page::Checkout),
                    buy("TSTORY2", "Boots & Shoes;Story Boots;1;90.00,Boots & Shoes;Story Socks;2;30.00", 3, 12_000),
                ]
            },
        ),
        first(
            1003,
            at(calendar, 2, 8, 0),
            Affiliate,
            "story:affiliate",
            const { &[see(Page::Article(4)), view(1, "Light;Story Lantern;;")] },
        ),
        second(
            1003,
            at(calendar, 4, 20, 0),
            Email,
            "story:newsletter",
            const {
                &[
                    view(1, "Light;Story Lantern;;"),
                    see(Page::Checkout),
                    buy("TSTORY3", "Light;Story Lantern;1;60.00", 1, 6_000),
                ]
            },
        ),
        first(1004, at(calendar, 1, 14, 0), Email, "story:early", const { &[see(Page::LeadForm), lead("LEARLY1")] }),
        visit(
            1004,
            2,
            at(calendar, 6, 18, 20),
            Channel::Direct,
            "",
            "story:early",
            const { &[see(Page::LeadForm), lead("LNOON1"), buy("LBOTH1,TBOTH1", "Light;Story Lamp;1;25.00", 1, 2_500)] },
        ),
    ]
}

/// The offline records of all visits of stories.
pub fn records(calendar: &Calendar) -> Vec<Record> {
    let record = |source, when, fields| Record { source, when, fields, expected: ExpectedStatus::Matched };
    let after = |day, days: u32, hour, minute| When::Timed(at(calendar, day, hour, minute) + days * DAY_SECONDS);
    let expired = Record {
        expected: ExpectedStatus::Expired,
        ..record(LEADS, When::Dated(at(calendar, 3, 0, 0)), "LEXPIRED1\t\t1\t\t")
    };
    vec![
        record(LEADS, after(5, 5, 10, 30), "LSTORY1\t\t1\t1\t500"),
        record(RETURNS, after(3, 6, 11, 15), "TSTORY2\tStore Köln\t-1\t-3\t-120.00"),
        record(CALLS, after(4, 4, 9, 40), "TSTORY3\tdelivery late\t1"),
        record(LEADS, after(1, 0, 9, 30), "LEARLY1\t\t1\t\t"),
        record(LEADS, When::Dated(at(calendar, 6, 0, 0)), "LNOON1\t\t1\t\t"),
        record(LEADS, after(6, 2, 12, 0), "LBOTH1\t\t\t1\t250.00"),
        record(CALLS, after(6, 3, 16, 5), "TBOTH1\tinvoice\t1"),
        expired,
    ]
}

impl StoryVisit {
    /// Hits that are still to come.
    pub fn remaining(&self) -> usize {
        self.steps.len() - self.done
    }

    /// Makes the next hit and moves on. There must be one.
    pub fn next_hit(&mut self, totals: &mut Totals, hit: &mut Hit) {
        let step = &self.steps[self.done];
        hit.clear();
        if self.done == 0 {
            hit.campaign_set = self.campaign_set;
            totals.visits += 1;
            totals.visitors += u64::from(self.visit_num == 1);
        }
        hit.time = self.time;
        hit.person = Person { visid: (self.visitor, 1), ..Person::default() };
        (hit.visit_num, hit.visit_start, hit.page_num) = (self.visit_num, self.start, self.done as u32 + 1);
        hit.campaign = self.campaign;
        hit.entry = Entry { channel: self.channel, detail: self.campaign_set, ..Entry::default() };
        hit.first_referring_domain = "";
        hit.page = Some(step.page);
        if step.event > 0 {
            hit.event(step.event);
        }
        hit.products.extend_from_slice(step.products.as_bytes());
        hit.transaction_id.extend_from_slice(step.transaction_id.as_bytes());
        totals.leads += u64::from(step.event == 200);
        totals.orders += u64::from(step.event == 1);
        totals.units += step.units;
        totals.revenue_cents += step.cents;
        self.done += 1;
        self.time += PAUSE_SECONDS;
    }
}

fn at(calendar: &Calendar, day: u32, hour: u32, minute: u32) -> u32 {
    calendar.midnight(day.min(calendar.days() - 1)) + hour * 3600 + minute * 60
}
