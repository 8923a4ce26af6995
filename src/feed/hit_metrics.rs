//! The metrics of one hit, and the dimensions that it set, from its events and products.
//!
//! Events of one metric add up. Units and revenue count on a purchase only, and with the order not at all on a
//! duplicate one. An event without a value takes the sum of its values in the product list where there is any, else 1.
//! What is no number is none: of a line of the product list that number, of the event list that event; the rest counts.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::caret::join_list;
use super::event_list::{Entry, EventIds, MAX_EVENT_ID, entries, event_id};
use super::hit_columns::Role;
use super::number;
use super::product_list::{self, Evars};
use crate::columns::{METRICS, numbered};

/// The metrics that the hits of a feed may have, and how to compute them.
#[derive(Debug, Clone)]
pub struct HitMetrics {
    names: Vec<String>,
    /// What each event id below [`MAX_EVENT_ID`] means.
    by_id: Vec<Meaning>,
    page_views: Option<usize>,
    orders: Option<usize>,
    units: Option<usize>,
    revenue: Option<usize>,
}

/// What an event id means.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Nothing,
    /// A metric, by its place.
    Metric(u16),
    /// The hit set a dimension, by the number that it was given.
    Instance(u16),
}

/// What a row says that metrics come from.
#[derive(Debug, Clone, Copy)]
pub struct MetricInput<'a> {
    /// True where the hit is a page view.
    pub page_view: bool,
    /// The events.
    pub event_list: &'a str,
    /// The products.
    pub product_list: &'a str,
    /// True where the purchase does not count.
    pub duplicate_purchase: bool,
}

/// The amounts of one row, to be used again for the next.
#[derive(Debug, Clone, Default)]
pub struct HitAmounts {
    metrics: Amounts,
    in_products: Amounts,
    /// The dimensions of which the hit is an instance.
    pub instances: Vec<u16>,
    /// The eVars whose instances product lines bear.
    pub binding_instances: Evars,
    /// The distinct products, as a cell of a multi-valued dimension.
    pub product: String,
    /// The distinct categories, the same way.
    pub category: String,
}

impl HitAmounts {
    /// Metric (its place in [`HitMetrics::names`]) and amount.
    pub fn metrics(&self) -> impl Iterator<Item = (usize, f64)> {
        self.metrics.touched.iter().filter_map(|metric| Some((*metric, self.metrics.values[*metric]?)))
    }
}

/// A field, and what is wrong with it.
pub type BadField = (Role, String);

impl HitMetrics {
    /// `ids` where the feed has an event list; `instances`: numbers of dimensions by the ids that say that a hit set them;
    /// `pages`, `products`: whether it has page names or products at all.
    pub fn new(ids: Option<&EventIds>, instances: &[(u32, u16)], pages: bool, products: bool) -> Self {
        let by_name: Vec<(u32, String)> = ids.into_iter().flat_map(EventIds::metrics).collect();
        let mut all: BTreeSet<&str> = by_name.iter().map(|(_, name)| name.as_str()).collect();
        all.extend(pages.then_some("page_views"));
        if products && all.contains("orders") {
            all.extend(["units", "revenue"]);
        }
        let mut names: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
        names.sort_by_cached_key(|name| {
            let standard = METRICS.iter().position(|metric| metric == name);
            standard.unwrap_or(METRICS.len() + numbered(name, "event").unwrap_or(0) as usize)
        });
        let places: HashMap<&str, u16> = names.iter().map(String::as_str).zip(0..).collect();
        let place = |name: &str| places.get(name).copied();
        let column = |name: &str| place(name).map(usize::from);
        let mut by_id = vec![Meaning::Nothing; MAX_EVENT_ID as usize];
        for (id, name) in &by_name {
            by_id[*id as usize] = place(name).map_or(Meaning::Nothing, Meaning::Metric);
        }
        for (id, dimension) in instances {
            by_id[*id as usize] = Meaning::Instance(*dimension);
        }
        Self {
            by_id,
            page_views: column("page_views"),
            orders: column("orders"),
            units: column("units"),
            revenue: column("revenue"),
            names,
        }
    }

    /// The metrics, in the order of their columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Computes the amounts of one row. Gives the first part that was left out, because a number or an event id is none.
    pub fn read(&self, input: MetricInput<'_>, amounts: &mut HitAmounts) -> Option<BadField> {
        amounts.metrics.clear(self.names.len());
        amounts.in_products.clear(self.names.len());
        amounts.instances.clear();
        let mut bad = LeftOut::default();
        let (units, revenue) = self.read_products(input.product_list, amounts, &mut bad);
        let mut purchase = false;
        for entry in entries(input.event_list, b',') {
            let metric = match self.meaning(entry).map_err(|reason| (Role::EventList, reason)) {
                Ok(Meaning::Metric(metric)) => usize::from(metric),
                Ok(Meaning::Instance(dimension)) => {
                    amounts.instances.push(dimension);
                    continue;
                }
                Ok(Meaning::Nothing) => continue,
                Err(reason) => {
                    bad.note(reason);
                    continue;
                }
            };
            if Some(metric) == self.orders && input.duplicate_purchase {
                continue;
            }
            let value = match entry.value {
                Some(_) => match value_of(entry) {
                    Ok(value) => value,
                    Err(reason) => {
                        bad.note((Role::EventList, reason));
                        continue;
                    }
                },
                // Listed twice, the products' sum still counts once.
                None => match amounts.in_products.get(metric) {
                    Some(sum) => {
                        amounts.in_products.add(metric, -sum);
                        sum
                    }
                    None => 1.0,
                },
            };
            purchase |= Some(metric) == self.orders;
            amounts.metrics.add(metric, value);
        }
        if purchase {
            for (metric, amount) in [(self.units, units), (self.revenue, revenue)] {
                if let (Some(metric), Some(amount)) = (metric, amount) {
                    amounts.metrics.add(metric, amount);
                }
            }
        }
        if let (true, Some(metric)) = (input.page_view, self.page_views) {
            amounts.metrics.add(metric, 1.0);
        }
        bad.0
    }

    /// Units and revenue of all lines.
    fn read_products(&self, list: &str, amounts: &mut HitAmounts, bad: &mut LeftOut) -> (Option<f64>, Option<f64>) {
        amounts.product.clear();
        amounts.category.clear();
        amounts.binding_instances = Evars::default();
        let (mut units, mut revenue) = (None, None);
        if list.is_empty() {
            return (units, revenue);
        }
        let mut number = |read: Result<Option<f64>, String>| {
            read.unwrap_or_else(|reason| {
                bad.note((Role::ProductList, reason));
                None
            })
        };
        let (mut products, mut categories) = (Distinct::default(), Distinct::default());
        for product in product_list::parse(list) {
            product.instances().for_each(|evar| amounts.binding_instances.insert(evar));
            add(&mut units, number(product.units()));
            add(&mut revenue, number(product.revenue()));
            for entry in product.events().filter(|entry| entry.value.is_some()) {
                let value = self.meaning(entry).and_then(|meaning| match meaning {
                    Meaning::Metric(metric) => Ok(Some((usize::from(metric), value_of(entry)?))),
                    Meaning::Instance(_) | Meaning::Nothing => Ok(None),
                });
                match value {
                    Ok(Some((metric, value))) => amounts.in_products.add(metric, value),
                    Ok(None) => {}
                    Err(reason) => {
                        number(Err(reason));
                    }
                }
            }
            products.add(product.product);
            categories.add(product.category);
        }
        join_list(products.values.iter().map(|v| &**v), &mut amounts.product);
        join_list(categories.values.iter().map(|v| &**v), &mut amounts.category);
        (units, revenue)
    }

    fn meaning(&self, entry: Entry<'_>) -> Result<Meaning, String> {
        let id = event_id(entry.event).ok_or_else(|| {
            let shown = super::row_issue::clip(entry.event, 60);
            format!("{shown:?} is no event id; are the fields of this row in their places?")
        })?;
        Ok(self.by_id.get(id as usize).copied().unwrap_or(Meaning::Nothing))
    }
}

/// The first part of a row that was left out.
#[derive(Default)]
struct LeftOut(Option<BadField>);

impl LeftOut {
    fn note(&mut self, part: BadField) {
        self.0.get_or_insert(part);
    }
}

fn value_of(entry: Entry<'_>) -> Result<f64, String> {
    let text = entry.value.unwrap_or("");
    number::parse(text).ok_or_else(|| format!("value of event {}: {}", entry.event, number::why_not(text)))
}

fn add(sum: &mut Option<f64>, amount: Option<f64>) {
    if let Some(amount) = amount {
        *sum = Some(sum.unwrap_or(0.0) + amount);
    }
}

/// Amounts by metric; clearing costs what the last row touched, not what the feed has.
#[derive(Debug, Clone, Default)]
struct Amounts {
    values: Vec<Option<f64>>,
    touched: Vec<usize>,
}

impl Amounts {
    fn clear(&mut self, metrics: usize) {
        for metric in self.touched.drain(..) {
            self.values[metric] = None;
        }
        self.values.resize(metrics, None);
    }

    fn add(&mut self, metric: usize, amount: f64) {
        if self.values[metric].is_none() {
            self.touched.push(metric);
        }
        add(&mut self.values[metric], Some(amount));
    }

    fn get(&self, metric: usize) -> Option<f64> {
        self.values[metric]
    }
}

/// Values up to which a list is looked through for another one.
const FEW_VALUES: usize = 8;

#[derive(Default)]
struct Distinct<'a> {
    values: Vec<Cow<'a, str>>,
    /// The same, where they are many.
    seen: HashSet<Cow<'a, str>>,
}

impl<'a> Distinct<'a> {
    fn add(&mut self, value: Cow<'a, str>) {
        if value.is_empty() || self.values.len() <= FEW_VALUES && self.values.contains(&value) {
            return;
        }
        if self.values.len() == FEW_VALUES {
            self.seen.extend(self.values.iter().cloned());
        }
        if self.values.len() < FEW_VALUES || self.seen.insert(value.clone()) {
            self.values.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(event_list: &str, product_list: &str, duplicate_purchase: bool) -> (String, Option<BadField>) {
        let metrics = HitMetrics::new(Some(&EventIds::standard()), &[(100, 0), (10_000, 1)], true, true);
        let mut amounts = HitAmounts::default();
        let input =
            |event_list, product_list| MetricInput { page_view: true, event_list, product_list, duplicate_purchase };
        assert_eq!(metrics.read(input("1,200=7,201,100", ";x;9;9;201=9"), &mut amounts), None);
        assert_eq!(amounts.instances, [0]);
        let left_out = metrics.read(input(event_list, product_list), &mut amounts);
        let mut all: Vec<_> = amounts.metrics().collect();
        all.sort_by_key(|(metric, _)| *metric);
        let all: Vec<_> = all.iter().map(|(m, v)| format!("{}={v}", metrics.names()[*m])).collect();
        (format!("{} [{}] [{}]", all.join(" "), amounts.product, amounts.category), left_out)
    }

    #[test]
    fn names_in_order() {
        let metrics = HitMetrics::new(Some(&EventIds::standard()), &[], true, true);
        let names: Vec<&str> = metrics.names().iter().map(String::as_str).collect();
        assert_eq!(
            names[..10],
            [
                "page_views",
                "orders",
                "units",
                "revenue",
                "product_views",
                "carts",
                "cart_views",
                "cart_adds",
                "cart_removes",
                "checkouts"
            ]
        );
        let events: Vec<String> = (1..=1000).map(|n| format!("event{n}")).collect();
        assert_eq!(names[10..], events);
        let metrics = HitMetrics::new(None, &[], true, true);
        assert_eq!(metrics.names(), ["page_views"]);
    }

    #[test]
    fn amounts() {
        let shoes = "a;Shoes;1;69.95,a;Socks;10;29.99,b;Shoes;;";
        for (events, products, duplicate, expected) in [
            (
                "1,200",
                shoes,
                false,
                "page_views=1 orders=1 units=11 revenue=99.94 event1=1 [Shoes--**--Socks] [a--**--b]",
            ),
            ("1,200", shoes, true, "page_views=1 event1=1 [Shoes--**--Socks] [a--**--b]"),
            ("2", shoes, false, "page_views=1 product_views=1 [Shoes--**--Socks] [a--**--b]"),
            ("1", ";x", false, "page_views=1 orders=1 [x] []"),
            ("1", ";x;0;0", false, "page_views=1 orders=1 units=0 revenue=0 [x] []"),
            ("200,200=2.5,201=0,100=5", "", false, "page_views=1 event1=3.5 event2=0 [] []"),
            (
                "200,200,201",
                ";x;;;event1=2|201=3,;y;;;200=1.5",
                false,
                "page_views=1 event1=3.5 event2=3 [x--**--y] []",
            ),
            ("201", ";x;;;event1=2", false, "page_views=1 event2=1 [x] []"),
            ("", "", false, "page_views=1 [] []"),
        ] {
            assert_eq!(read(events, products, duplicate), (expected.to_owned(), None), "{events} {products}");
        }
    }

    #[test]
    fn each_product_is_listed_once() {
        for count in [1, 2, 7, 8, 9, 10, 30] {
            let products: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
            let twice: Vec<String> = products.iter().chain(products.iter().rev()).map(|p| format!("c;{p}")).collect();
            let expected = format!("page_views=1 [{}] [c]", products.join("--**--"));
            assert_eq!(read("", &twice.join(","), false), (expected, None), "{count}");
        }
    }

    #[test]
    fn what_is_no_number_is_none_and_the_rest_counts() {
        for (events, products, role, reason, rest) in [
            ("200=x,201", "", Role::EventList, "value of event 200: \"x\" is no number", "event2=1 [] []"),
            ("home,201", "", Role::EventList, "\"home\" is no event id", "event2=1 [] []"),
            ("99999999999", "", Role::EventList, "is no event id", "[] []"),
            ("1=x", ";x;1;5", Role::EventList, "value of event 1", "[x] []"),
            (
                "1",
                ";x;y,;z;2;5",
                Role::ProductList,
                "quantity \"y\" is no number",
                "orders=1 units=2 revenue=5 [x--**--z] []",
            ),
            ("1", ";x;1;$5", Role::ProductList, "price \"$5\" is no number", "orders=1 units=1 [x] []"),
            ("1", ";boot;undefined;NaN", Role::ProductList, "quantity \"undefined\"", "orders=1 [boot] []"),
            ("1", ";boot;1;EUR 19.99", Role::ProductList, "price \"EUR 19.99\"", "orders=1 units=1 [boot] []"),
            ("1", ";boot; red;1;19.99", Role::ProductList, "quantity \"red\"", "orders=1 revenue=1 [boot] []"),
            ("1", ";null;null;null", Role::ProductList, "quantity \"null\"", "orders=1 [null] []"),
            ("200", ";x;1;5;200=z|200=2", Role::ProductList, "value of event 200", "event1=2 [x] []"),
            ("200", ";x;1;5;foo=2", Role::ProductList, "\"foo\" is no event id", "event1=1 [x] []"),
        ] {
            let (found, left_out) = read(events, products, false);
            assert_eq!(found, format!("page_views=1 {rest}"), "{events} {products}");
            let (field, message) = left_out.unwrap();
            assert_eq!(field, role);
            assert!(message.contains(reason), "{message}");
        }
    }
}
