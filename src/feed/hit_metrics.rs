//! The metrics of one hit, from its events and products.
//!
//! Events of one metric add up. Units and revenue count on a purchase only, and with the order not at all on a
//! duplicate one. An event without a value takes the sum of its values in the product list where there is any, else 1.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::caret::join_list;
use super::event_list::{Entry, EventIds, MAX_EVENT_ID, entries, event_id};
use super::hit_columns::Role;
use super::number;
use super::product_list;
use crate::columns::{METRICS, numbered};

/// The metrics that the hits of a feed may have, and how to compute them.
#[derive(Debug, Clone)]
pub struct HitMetrics {
    names: Vec<String>,
    /// The metric of each event id below [`MAX_EVENT_ID`].
    by_id: Vec<Option<u16>>,
    page_views: Option<usize>,
    orders: Option<usize>,
    units: Option<usize>,
    revenue: Option<usize>,
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

/// Why a row cannot be taken: the field, and what is wrong with it.
pub type BadField = (Role, String);

impl HitMetrics {
    /// `ids` where the feed has an event list; `pages`, `products`: whether it has page names or products at all.
    pub fn new(ids: Option<&EventIds>, pages: bool, products: bool) -> Self {
        let metric_of = |id| ids.and_then(|ids| ids.metric_of(id));
        let by_id: Vec<Option<String>> = (0..MAX_EVENT_ID).map(metric_of).collect();
        let mut all: BTreeSet<&str> = by_id.iter().flatten().map(String::as_str).collect();
        all.extend(pages.then_some("page_views"));
        if products && all.contains("orders") {
            all.extend(["units", "revenue"]);
        }
        let mut names: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
        names.sort_by_key(|name| {
            let standard = METRICS.iter().position(|metric| metric == name);
            standard.unwrap_or(METRICS.len() + numbered(name, "event").unwrap_or(0) as usize)
        });
        let places: HashMap<&str, u16> = names.iter().map(String::as_str).zip(0..).collect();
        let place = |name: &str| places.get(name).copied();
        let column = |name: &str| place(name).map(usize::from);
        Self {
            by_id: by_id.iter().map(|metric| place(metric.as_ref()?)).collect(),
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

    /// Computes the amounts of one row.
    ///
    /// # Errors
    /// A number or an event id that is none.
    pub fn read(&self, input: MetricInput<'_>, amounts: &mut HitAmounts) -> Result<(), BadField> {
        amounts.metrics.clear(self.names.len());
        amounts.in_products.clear(self.names.len());
        let (units, revenue) = self.read_products(input.product_list, amounts)?;
        let mut purchase = false;
        for entry in entries(input.event_list, b',') {
            let Some(metric) = self.metric(entry, Role::EventList)? else { continue };
            if Some(metric) == self.orders {
                if input.duplicate_purchase {
                    continue;
                }
                purchase = true;
            }
            let value = match entry.value {
                Some(_) => value_of(entry, Role::EventList)?,
                // Listed twice, the products' sum still counts once.
                None => match amounts.in_products.get(metric) {
                    Some(sum) => {
                        amounts.in_products.add(metric, -sum);
                        sum
                    }
                    None => 1.0,
                },
            };
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
        Ok(())
    }

    fn read_products(&self, list: &str, amounts: &mut HitAmounts) -> Result<(Option<f64>, Option<f64>), BadField> {
        amounts.product.clear();
        amounts.category.clear();
        let (mut units, mut revenue) = (None, None);
        if list.is_empty() {
            return Ok((units, revenue));
        }
        let (mut products, mut categories) = (Distinct::default(), Distinct::default());
        for product in product_list::parse(list) {
            add(&mut units, product.units().map_err(|reason| (Role::ProductList, reason))?);
            add(&mut revenue, product.revenue().map_err(|reason| (Role::ProductList, reason))?);
            for entry in product.events().filter(|entry| entry.value.is_some()) {
                if let Some(metric) = self.metric(entry, Role::ProductList)? {
                    amounts.in_products.add(metric, value_of(entry, Role::ProductList)?);
                }
            }
            products.add(product.product);
            categories.add(product.category);
        }
        join_list(products.values.iter().map(|v| &**v), &mut amounts.product);
        join_list(categories.values.iter().map(|v| &**v), &mut amounts.category);
        Ok((units, revenue))
    }

    fn metric(&self, entry: Entry<'_>, role: Role) -> Result<Option<usize>, BadField> {
        let id = event_id(entry.event).ok_or_else(|| {
            let shown = super::row_issue::clip(entry.event, 60);
            (role, format!("{shown:?} is no event id; are the fields of this row in their places?"))
        })?;
        Ok(self.by_id.get(id as usize).copied().flatten().map(usize::from))
    }
}

fn value_of(entry: Entry<'_>, role: Role) -> Result<f64, BadField> {
    let text = entry.value.unwrap_or("");
    number::parse(text).ok_or_else(|| (role, format!("value of event {}: {}", entry.event, number::why_not(text))))
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

#[derive(Default)]
struct Distinct<'a> {
    values: Vec<Cow<'a, str>>,
    seen: HashSet<Cow<'a, str>>,
}

impl<'a> Distinct<'a> {
    fn add(&mut self, value: Cow<'a, str>) {
        if !value.is_empty() && self.seen.insert(value.clone()) {
            self.values.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(event_list: &str, product_list: &str, duplicate_purchase: bool) -> Result<String, BadField> {
        let metrics = HitMetrics::new(Some(&EventIds::standard()), true, true);
        let mut amounts = HitAmounts::default();
        let input =
            |event_list, product_list| MetricInput { page_view: true, event_list, product_list, duplicate_purchase };
        metrics.read(input("1,200=7,201", ";x;9;9;201=9"), &mut amounts).unwrap();
        metrics.read(input(event_list, product_list), &mut amounts)?;
        let mut all: Vec<_> = amounts.metrics().collect();
        all.sort_by_key(|(metric, _)| *metric);
        let all: Vec<_> = all.iter().map(|(m, v)| format!("{}={v}", metrics.names()[*m])).collect();
        Ok(format!("{} [{}] [{}]", all.join(" "), amounts.product, amounts.category))
    }

    #[test]
    fn names_in_order() {
        let metrics = HitMetrics::new(Some(&EventIds::standard()), true, true);
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
        let metrics = HitMetrics::new(None, true, true);
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
            assert_eq!(read(events, products, duplicate).unwrap(), expected, "{events} {products}");
        }
    }

    #[test]
    fn bad_fields() {
        for (events, products, role, reason) in [
            ("200=x", "", Role::EventList, "value of event 200: \"x\" is no number"),
            ("home", "", Role::EventList, "\"home\" is no event id"),
            ("99999999999", "", Role::EventList, "is no event id"),
            ("", ";x;y", Role::ProductList, "quantity \"y\" is no number"),
            ("", ";x;1;$5", Role::ProductList, "price \"$5\" is no number"),
            ("", ";x;1;5;200=z", Role::ProductList, "value of event 200"),
        ] {
            let (found, message) = read(events, products, false).unwrap_err();
            assert_eq!(found, role);
            assert!(message.contains(reason), "{message}");
        }
    }
}
