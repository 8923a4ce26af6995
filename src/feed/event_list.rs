//! The events of a hit (`event_list`): which id is which metric, and the ids with their values.
//!
//! By Adobe's numbers 1 is the purchase, 2 the product view, 10 to 14 the cart's events, 200 and up custom events 1 to
//! 100, 20100 and up custom events 101 to 1000; a delivery's `event.tsv` has the last word. Instances of eVars (100 to
//! 199, 10000 and up) are no metrics; which id is an instance of which dimension only `event.tsv` says.

use std::collections::HashMap;

use super::caret;
use super::number;
use crate::columns::{METRICS, numbered};

/// Ids from here on are no events of any report suite.
pub const MAX_EVENT_ID: u32 = 1 << 16;

/// Id, metric, the name in `event.tsv`, the name on the page.
const STANDARD_EVENTS: &[(u32, &str, &str, &str)] = &[
    (1, "orders", "purchase", "purchase"),
    (2, "product_views", "product view", "prodview"),
    (10, "carts", "cart open", "scopen"),
    (11, "checkouts", "checkout", "sccheckout"),
    (12, "cart_adds", "cart add", "scadd"),
    (13, "cart_removes", "cart remove", "scremove"),
    (14, "cart_views", "cart view", "scview"),
];

/// One event of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The id, or the name as on the page.
    pub event: &'a str,
    /// What stands behind `=`.
    pub value: Option<&'a str>,
}

/// The events of a list that `separator` parts: `,` in an event list, `|` in a product. Empty ones are left out, and so
/// is the serial number that may stand behind a colon.
pub fn entries(list: &str, separator: u8) -> impl Iterator<Item = Entry<'_>> {
    caret::split(list, separator).filter(|entry| !entry.is_empty()).map(|entry| {
        // most are an id and nothing else
        if entry.bytes().all(|b| b.is_ascii_digit()) {
            return Entry { event: entry, value: None };
        }
        let (event, value) = match caret::split_once(entry, b'=') {
            Some((event, value)) => (event, Some(value)),
            None => (entry, None),
        };
        let value = value.map(without_serial).filter(|value| !value.is_empty());
        Entry { event: without_serial(event), value }
    })
}

/// The id of an event by Adobe's numbers: of `200`, `event1` or `purchase`.
pub fn event_id(event: &str) -> Option<u32> {
    if !event.is_empty() && event.bytes().all(|b| b.is_ascii_digit()) {
        return event.parse().ok();
    }
    let name = event.to_ascii_lowercase();
    let custom = numbered(&name, "event").and_then(|n| match n {
        1..=100 => Some(199 + n),
        101..=1000 => Some(19_999 + n),
        _ => None,
    });
    let standard = || STANDARD_EVENTS.iter().find(|e| e.1 == name || e.3 == name).map(|e| e.0);
    custom.or_else(standard)
}

/// The value of `metric` (`event5`, `orders`, `purchase`, an id) in an event list by Adobe's numbers: the sum of its
/// values, 1 where it has none; `None` where the list does not have it. What is no number counts nothing.
pub fn event_value(event_list: &str, metric: &str) -> Option<f64> {
    let wanted = event_id(metric.trim())?;
    let values = entries(event_list, b',').filter(|entry| event_id(entry.event) == Some(wanted));
    values.fold(None, |sum, entry| match entry.value.map_or(Some(1.0), number::parse) {
        Some(value) => Some(sum.unwrap_or(0.0) + value),
        None => sum,
    })
}

/// True for the metrics that a feed or a data source may bring, and for those that are computed.
pub fn is_metric_name(name: &str) -> bool {
    let views = || name.strip_suffix("_views").and_then(|evar| numbered(evar, "evar"));
    name == "occurrences"
        || METRICS.contains(&name)
        || numbered(name, "event").is_some_and(|n| n <= 1000)
        || views().is_some_and(|n| n <= 250)
}

/// What an event id means, for one report suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventIds {
    named: HashMap<u32, Meaning>,
}

/// What `event.tsv` calls an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Metric(String),
    /// The hit set this dimension.
    Instance(String),
    /// Something else that is known and is no metric.
    Other,
}

impl EventIds {
    /// Adobe's numbers alone.
    pub fn standard() -> Self {
        Self::default()
    }

    /// Adobe's numbers as far as `event.tsv` (id, tab, name) does not say otherwise. Names that it knows: those of the
    /// standard events, `Custom Event 12`, `Instance of eVar 5`, `Campaign View`; what is not understood changes nothing.
    pub fn parse(event_tsv: &str) -> Self {
        let pairs = event_tsv.lines().filter_map(|line| {
            let (id, name) = line.split_once('\t')?;
            let id = id.trim().parse().ok().filter(|id| *id < MAX_EVENT_ID)?;
            Some((id, meaning_of(name)?))
        });
        Self { named: pairs.collect() }
    }

    /// The metric of an id, `None` where it is none.
    pub fn metric_of(&self, id: u32) -> Option<String> {
        match self.named.get(&id) {
            Some(Meaning::Metric(metric)) => return Some(metric.clone()),
            Some(Meaning::Instance(_) | Meaning::Other) => return None,
            None => {}
        }
        match id {
            200..=299 => Some(format!("event{}", id - 199)),
            20_100..=20_999 => Some(format!("event{}", id - 19_999)),
            _ => STANDARD_EVENTS.iter().find(|e| e.0 == id).map(|e| e.1.to_owned()),
        }
    }

    /// Every id that has a metric, with it; some come twice.
    pub fn metrics(&self) -> impl Iterator<Item = (u32, String)> {
        let standard = STANDARD_EVENTS.iter().map(|event| event.0);
        let ids = self.named.keys().copied().chain(standard).chain(200..=299).chain(20_100..=20_999);
        ids.filter_map(|id| Some((id, self.metric_of(id)?)))
    }

    /// The ids that `event.tsv` calls an instance of a dimension of ours: id, dimension.
    pub fn instances(&self) -> impl Iterator<Item = (u32, &str)> {
        self.named.iter().filter_map(|(id, meaning)| match meaning {
            Meaning::Instance(dimension) => Some((*id, dimension.as_str())),
            Meaning::Metric(_) | Meaning::Other => None,
        })
    }
}

fn without_serial(text: &str) -> &str {
    text.split_once(':').map_or(text, |(text, _)| text).trim()
}

/// What a name says; `None` where it is not understood.
fn meaning_of(name: &str) -> Option<Meaning> {
    let name = name.trim().to_ascii_lowercase();
    if let Some(what) = name.strip_prefix("instance of ") {
        return Some(instance_of(what).map_or(Meaning::Other, Meaning::Instance));
    }
    if name.strip_suffix('s').unwrap_or(&name) == "campaign view" {
        return Some(Meaning::Instance("tracking_code".to_owned()));
    }
    if let Some(event) = STANDARD_EVENTS.iter().find(|e| e.2 == name || name.strip_suffix('s') == Some(e.2)) {
        return Some(Meaning::Metric(event.1.to_owned()));
    }
    let number = name.strip_prefix("custom event").or_else(|| name.strip_prefix("event"))?.trim();
    let metric = format!("event{number}");
    numbered(&metric, "event").filter(|n| *n <= 1000).map(|_| Meaning::Metric(metric))
}

/// The dimension in `eVar 5`; a name of the eVar may follow its number.
fn instance_of(what: &str) -> Option<String> {
    let number = what.strip_prefix("evar")?.trim_start();
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let evar = format!("evar{}", &number[..digits]);
    let ends = !number[digits..].starts_with(|c: char| c.is_alphanumeric());
    (ends && numbered(&evar, "evar").is_some_and(|n| n <= 250)).then_some(evar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let ids = EventIds::standard();
        for (id, metric) in [
            (1, "orders"),
            (2, "product_views"),
            (10, "carts"),
            (14, "cart_views"),
            (200, "event1"),
            (299, "event100"),
            (20_100, "event101"),
            (20_999, "event1000"),
        ] {
            assert_eq!(ids.metric_of(id).as_deref(), Some(metric));
            assert_eq!(event_id(metric), Some(id));
        }
        for id in [0, 3, 15, 100, 199, 300, 10_000, 20_099, 21_000, u32::MAX] {
            assert_eq!(ids.metric_of(id), None, "{id}");
        }
        for name in ["event0", "event1001", "event", "event01", "x", "", "-1", "99999999999"] {
            assert_eq!(event_id(name), None, "{name}");
        }
        assert_eq!(event_id("scAdd"), Some(12));
    }

    #[test]
    fn every_id_that_has_a_metric() {
        for ids in [
            EventIds::standard(),
            EventIds::parse("1\tx\n11\tCheckouts\n201\tInstance of eVar 3\n300\tcustom event 150\n"),
        ] {
            let each: HashMap<u32, String> =
                (0..MAX_EVENT_ID).filter_map(|id| Some((id, ids.metric_of(id)?))).collect();
            assert_eq!(ids.metrics().collect::<HashMap<_, _>>(), each);
        }
    }

    #[test]
    fn the_lookup_has_the_last_word() {
        let ids = EventIds::parse(
            "1\tPurchase\r\n10\tCart Open\n11\tCheckouts\n200\tCustom Event 12\n201\tLead Submitted\n100\tInstance of eVar 1\n\
             202\tInstance of eVar 3\n300\tcustom event 150\nbad\n\tx\n70000\tCustom Event 1\n203\tCustom Event 2000\n",
        );
        let metric = |id| ids.metric_of(id);
        assert_eq!(metric(200).as_deref(), Some("event12"));
        assert_eq!(metric(201).as_deref(), Some("event2"));
        assert_eq!(metric(202), None);
        assert_eq!(metric(203).as_deref(), Some("event4"));
        assert_eq!(metric(300).as_deref(), Some("event150"));
        assert_eq!(metric(1).as_deref(), Some("orders"));
        assert_eq!(metric(11).as_deref(), Some("checkouts"));
        assert_eq!(metric(70_000), None);
    }

    #[test]
    fn instances_are_those_that_the_lookup_names() {
        let ids = EventIds::parse(
            "20\tCampaign View\n100\tInstance of eVar 1\n10000\tInstance of eVar101 (Plan)\n102\tInstance of eVar 3x\n\
             103\tInstance of eVar 251\n104\tInstance of List Var 1\n105\tinstance of EVAR6\n",
        );
        let mut instances: Vec<_> = ids.instances().collect();
        instances.sort_unstable();
        assert_eq!(instances, [(20, "tracking_code"), (100, "evar1"), (105, "evar6"), (10_000, "evar101")]);
        assert_eq!(EventIds::standard().instances().count(), 0);
        assert_eq!([20, 100, 104].map(|id| ids.metric_of(id)), [None, None, None]);
    }

    #[test]
    fn entries_and_values() {
        let all: Vec<_> =
            entries("1,200=5,,201:abc,202=3:x,a^,b=1^=2,203=", b',').map(|e| (e.event, e.value)).collect();
        assert_eq!(
            all,
            [("1", None), ("200", Some("5")), ("201", None), ("202", Some("3")), ("a^,b", Some("1^=2")), ("203", None)]
        );
        assert_eq!(event_value("1,204=2.5,204,100", "event5"), Some(3.5));
        assert_eq!(event_value("1,204=0", "event5"), Some(0.0));
        assert_eq!(event_value("1,204", "orders"), Some(1.0));
        assert_eq!(event_value("1,204", "204"), Some(1.0));
        assert_eq!(event_value("event5=2,purchase", "event5"), Some(2.0));
        assert_eq!(event_value("1,204=x", "event5"), None);
        assert_eq!(event_value("", "event5"), None);
        assert_eq!(event_value("1", "nonsense"), None);
    }

    #[test]
    fn metric_names() {
        for name in ["orders", "event1", "event1000", "evar5_views", "occurrences", "page_views"] {
            assert!(is_metric_name(name), "{name}");
        }
        for name in ["event0", "event1001", "event", "evar251_views", "evar1", "views"] {
            assert!(!is_metric_name(name), "{name}");
        }
    }
}
