//! The products of a hit (`product_list`): `category;product;quantity;price;events;evars`, products parted by commas,
//! events and eVars by `|`, with the caret escapes of [`caret`].

use std::borrow::Cow;

use super::event_list::{Entry, entries, event_id};
use super::{caret, number};

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
        let pairs = caret::split(self.evars, b'|').filter_map(|evar| caret::split_once(evar, b'='));
        pairs.map(|(name, value)| (caret::unescape(name), caret::unescape(value)))
    }
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
    fn bad_numbers() {
        let product = parse(";a;two;1^,5").next().unwrap();
        assert_eq!(product.units().unwrap_err(), "quantity \"two\" is no number");
        assert!(product.revenue().unwrap_err().starts_with("price \"1^,5\" is no number"));
    }
}
