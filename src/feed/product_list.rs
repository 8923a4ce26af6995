//! The products of a hit (`product_list`): `category;product;quantity;price;events;evars`, products parted by commas,
//! events and eVars by `|`, with the caret escapes of [`caret`].

use std::borrow::Cow;

use super::event_list::{Entry, entries, event_id};
use super::{caret, number};
use crate::columns::numbered;

pub use super::caret::list_values;

/// One product. Parts that the list lacks are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product<'a> {
    /// The category.
    pub category: Cow<'a, str>,
    /// The product's name or number.
    pub product: Cow<'a, str>,
    /// Units, as written.
    pub quantity: &'a str,
    /// The line's total (not the price of one), as written.
    pub price: &'a str,
    /// Events with values, still escaped.
    pub events: &'a str,
    /// Merchandising eVars, still escaped.
    pub evars: &'a str,
}

/// A set of eVars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evars([u64; 4]);

impl Evars {
    /// Adds one; there are 250.
    pub fn insert(&mut self, evar: u32) {
        if let Some(word) = self.0.get_mut(evar as usize / 64) {
            *word |= 1 << (evar % 64);
        }
    }

    /// These and others.
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// Their numbers, comma separated; None where there is none.
    pub fn text(self) -> Option<String> {
        let numbers: Vec<String> = self.numbers().map(|evar| evar.to_string()).collect();
        (!numbers.is_empty()).then(|| numbers.join(","))
    }

    /// Their numbers, rising.
    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..256).filter(move |evar| self.0[*evar as usize / 64] & (1 << (evar % 64)) != 0)
    }
}

/// True for the metrics that a product can have of its own.
pub fn has_amounts(metric: &str) -> bool {
    matches!(metric, "units" | "revenue") || numbered(metric, "event").is_some()
}

/// The value of a dimension in the eVars of a product, still as in the list.
pub fn bound_value<'a>(evars: &'a str, dimension: &str) -> Option<Cow<'a, str>> {
    let pairs = pairs(evars);
    let found = pairs.filter(|(name, value)| name.eq_ignore_ascii_case(dimension) && !value.is_empty());
    // of several, the last
    found.last().map(|(_, value)| value)
}

/// The eVar of which a number among a product's events is an instance, by Adobe's lookup: 101 is eVar 1, 1200 eVar 101. Those
/// of eVar 76 to 100 (275 to 299) are numbers of events as well, which the answer says.
fn instance_of(event: &str) -> Option<(u32, bool)> {
    match event.parse().ok().filter(|_| !event.starts_with('0'))? {
        number @ 101..=199 => Some((number - 100, false)),
        number @ 275..=299 => Some((number - 199, true)),
        number @ 1200..=1349 => Some((number - 1099, false)),
        _ => None,
    }
}

/// The products of a list. Products of which no part is set are left out.
pub fn parse(product_list: &str) -> impl Iterator<Item = Product<'_>> {
    let products = caret::split(product_list, b',').filter(|product| product.bytes().any(|b| b != b';'));
    products.map(|product| {
        let mut parts = caret::split(product, b';');
        let mut next = || parts.next().unwrap_or("");
        Product {
            category: caret::unescape(next()),
            product: caret::unescape(next()),
            quantity: next().trim(),
            price: next().trim(),
            events: next(),
            evars: next(),
        }
    })
}

impl<'a> Product<'a> {
    /// The units, `None` where not set.
    ///
    /// # Errors
    /// Says why the quantity is no number.
    pub fn units(&self) -> Result<Option<f64>, String> {
        amount("quantity", self.quantity)
    }

    /// The line's total, `None` where not set.
    ///
    /// # Errors
    /// Says why the price is no number.
    pub fn revenue(&self) -> Result<Option<f64>, String> {
        amount("price", self.price)
    }

    /// What the product itself has of a metric: units, revenue, or the sum of an event's values. `None` where it has none,
    /// or no number.
    pub fn amount(&self, metric: &str) -> Option<f64> {
        match metric {
            "units" => self.units().ok().flatten(),
            "revenue" => self.revenue().ok().flatten(),
            _ => {
                let id = event_id(metric)?;
                let values =
                    self.events().filter(|e| event_id(e.event) == Some(id)).filter_map(|e| number::parse(e.value?));
                values.reduce(|sum, value| sum + value)
            }
        }
    }

    /// The product's events.
    pub fn events(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        entries(self.events, b'|')
    }

    /// The product's eVars: name and value.
    pub fn evars(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        pairs(self.evars)
    }

    /// The value that the product has of a dimension of its own.
    pub fn bound_value(&self, dimension: &str) -> Option<Cow<'a, str>> {
        bound_value(self.evars, dimension)
    }

    /// The eVars of which the product's events say that they were set on this very row. A number that may be an event, too, is
    /// an instance where the product has a value of that eVar.
    pub fn instances(&self) -> impl Iterator<Item = u32> {
        let numbers = self.events().filter(|entry| entry.value.is_none());
        let evars = numbers.filter_map(|entry| instance_of(entry.event));
        let told = evars.filter(|(evar, or_event)| !or_event || self.bound_value(&format!("evar{evar}")).is_some());
        told.map(|(evar, _)| evar)
    }

    /// True where one of them is this dimension.
    pub fn has_instance_of(&self, dimension: &str) -> bool {
        let evar = numbered(dimension, "evar");
        evar.is_some() && self.instances().any(|found| Some(found) == evar)
    }
}

fn pairs(evars: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = caret::split(evars, b'|').filter_map(|evar| caret::split_once(evar, b'='));
    pairs.map(|(name, value)| (caret::unescape(name), caret::unescape(value)))
}

fn amount(what: &str, text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    number::parse(text).map(Some).ok_or_else(|| format!("{what} {}", number::why_not(text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn products() {
        let list = "shoes;Cross^, Trainer;1;69.95;event1=7.5|200=2;eVar1=a^=b|eVar2=c,;Socks^;;10;29.99,,;;;,x";
        let all: Vec<_> = parse(list).collect();
        assert_eq!(all.len(), 3);
        let first = &all[0];
        assert_eq!((&*first.category, &*first.product), ("shoes", "Cross, Trainer"));
        assert_eq!((first.units().unwrap(), first.revenue().unwrap()), (Some(1.0), Some(69.95)));
        assert_eq!(
            first.events().map(|e| (e.event, e.value)).collect::<Vec<_>>(),
            [("event1", Some("7.5")), ("200", Some("2"))]
        );
        let evars: Vec<_> = first.evars().collect();
        assert_eq!(evars, [("eVar1".into(), "a=b".into()), ("eVar2".into(), "c".into())]);
        assert_eq!((&*all[1].category, &*all[1].product), ("", "Socks;"));
        assert_eq!(all[1].revenue().unwrap(), Some(29.99));
        let amounts = |metric| all.iter().map(|line| line.amount(metric)).collect::<Vec<_>>();
        assert_eq!(amounts("revenue"), [Some(69.95), Some(29.99), None]);
        assert_eq!(amounts("event1"), [Some(9.5), None, None]);
        assert_eq!(amounts("page_views"), [None, None, None]);
        assert_eq!(all[2], Product { category: "x".into(), ..Product::default() });
        assert_eq!(parse("").count(), 0);
    }

    #[test]
    fn values_that_are_bound() {
        let list = ";boot;1;38;101|200=3;eVar1=go^|ggles|EVAR2=x|evar1=,;sock;1;2;199|1100|1x1;evar2=y|Search=a^;b";
        let [boot, sock] = parse(list).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(boot.bound_value("evar1"), Some("go^".into()));
        assert_eq!((boot.bound_value("evar2"), boot.bound_value("evar3")), (Some("x".into()), None));
        assert_eq!((boot.has_instance_of("evar1"), boot.has_instance_of("evar2")), (true, false));
        assert_eq!(sock.bound_value("search"), Some("a;b".into()));
        assert!(sock.has_instance_of("evar99") && !sock.has_instance_of("evar1") && !sock.has_instance_of("search"));
        let numbers =
            ["101", "199", "275", "299", "1200", "1349", "100", "200", "1350", "0101", "x01"].map(instance_of);
        let evars = [(1, false), (99, false), (76, true), (100, true), (101, false), (250, false)].map(Some);
        assert_eq!((&numbers[..6], &numbers[6..]), (&evars[..], &[None; 5][..]));
        let boot = parse(";boot;;;275|276|277=2|101=3;eVar77=x").next().unwrap();
        assert_eq!(boot.instances().collect::<Vec<_>>(), [77]);
    }

    #[test]
    fn sets_of_evars() {
        let mut evars = Evars::default();
        [250, 1, 64, 1, 5000].into_iter().for_each(|evar| evars.insert(evar));
        let mut more = Evars::default();
        more.insert(63);
        assert_eq!(evars.and(more).text().as_deref(), Some("1,63,64,250"));
        assert_eq!(Evars::default().text(), None);
    }

    #[test]
    fn bad_numbers() {
        let product = parse(";a;two;1^,5").next().unwrap();
        assert_eq!(product.units().unwrap_err(), "quantity \"two\" is no number");
        assert!(product.revenue().unwrap_err().starts_with("price \"1^,5\" is no number"));
    }
}
