//! One online hit, and the columns in which a data feed delivers it.
//!
//! [`COLUMNS`] names each column beside the function that writes its field, so header and rows cannot differ. Rows are
//! appended to a reused buffer; a backslash goes before tab, newline and backslash in text.

use super::catalogue::{COUNTRIES, Channel, DEVICES, Device, Product, ROBOT};
use super::field::{integer, text};
use super::page::Page;
use super::random::mix;

/// Who browses, and with what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Person {
    /// `post_visid_high` and `post_visid_low`.
    pub visid: (u64, u64),
    /// Index into [`COUNTRIES`].
    pub country: usize,
    /// Index into [`DEVICES`]; past its end: the robot.
    pub device: usize,
    /// Draws state and postcode.
    pub key: u64,
}

impl Person {
    fn device(&self) -> &'static Device {
        DEVICES.get(self.device).unwrap_or(&ROBOT)
    }

    fn state(&self) -> &'static str {
        let states = COUNTRIES[self.country].states;
        states[(self.key >> 8) as usize % states.len()]
    }
}

/// How a visit reached the shop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry {
    pub channel: Channel,
    /// The tracking code, or the domain.
    pub detail: &'static str,
    pub referring_domain: &'static str,
    /// Search engine id, 0 for none, and the words.
    pub engine: u32,
    pub keyword: &'static str,
}

/// One hit. Empty text is an empty field.
#[derive(Debug, Default)]
pub struct Hit {
    /// Place among all hits of the sample; orders the hits of one second.
    pub number: u64,
    /// Epoch seconds.
    pub time: u32,
    pub person: Person,
    pub visit_num: u32,
    pub visit_start: u32,
    pub page_num: u32,
    pub excluded: bool,
    /// An app sent it while nobody used it.
    pub background: bool,
    /// `duplicate_purchase`.
    pub duplicate: bool,
    /// None for a link, which `link` names.
    pub page: Option<Page>,
    pub link: &'static str,
    pub campaign_set: &'static str,
    pub campaign: &'static str,
    pub evars_set: [&'static str; 5],
    pub evars: [&'static str; 5],
    /// eVar 6 as the page sends it, and as a processing rule leaves it.
    pub topic_sent: &'static str,
    pub topic: &'static str,
    /// eVar 7: what found the products of the row, bound to each; a view binds it, a cart only says it again.
    pub found_by: &'static str,
    pub search_term: &'static str,
    pub tags: &'static str,
    pub entry: Entry,
    pub first_referring_domain: &'static str,
    pub events: Vec<u8>,
    pub products: Vec<u8>,
    pub transaction_id: Vec<u8>,
    pub customer_id: Vec<u8>,
}

impl Hit {
    /// Empties what not every hit sets.
    pub fn clear(&mut self) {
        (self.excluded, self.background, self.duplicate, self.page, self.link) = (false, false, false, None, "");
        (self.campaign_set, self.campaign, self.search_term, self.tags) = ("", "", "", "");
        (self.topic_sent, self.topic, self.found_by) = ("", "", "");
        (self.evars_set, self.evars) = ([""; 5], [""; 5]);
        self.events.clear();
        self.products.clear();
        self.transaction_id.clear();
        self.customer_id.clear();
    }

    /// Adds an event by its number in `event.tsv`.
    pub fn event(&mut self, number: u64) {
        if !self.events.is_empty() {
            self.events.push(b',');
        }
        integer(&mut self.events, number);
    }

    /// Adds a product; `quantity` 0 leaves quantity and price empty. What found it is said before.
    pub fn product(&mut self, product: Product, quantity: u64) {
        let out = &mut self.products;
        if !out.is_empty() {
            out.push(b',');
        }
        list_text(out, super::catalogue::CATEGORIES[product.category()]);
        out.push(b';');
        let [make, thing] = product.name();
        list_text(out, make);
        out.push(b' ');
        list_text(out, thing);
        out.push(b';');
        if quantity > 0 {
            integer(out, quantity);
            out.push(b';');
            money(out, product.cents() * quantity);
        } else {
            out.push(b';');
        }
        if !self.found_by.is_empty() {
            out.extend_from_slice(if quantity > 0 { b";;eVar7=" } else { b";107;eVar7=" });
            list_text(out, self.found_by);
        }
    }

    /// Appends the row, with its line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (_, write) in COLUMNS {
            write(out, self);
            out.push(b'\t');
        }
        if let Some(last) = out.last_mut() {
            *last = b'\n';
        }
    }
}

type Column = (&'static str, fn(&mut Vec<u8>, &Hit));

/// The columns of `hit_data`, in order.
pub const COLUMNS: &[Column] = &[
    // Grows with time, as Adobe's do: seconds in the upper half.
    ("hitid_high", |o, h| integer(o, u64::from(h.time) << 31 | h.number & 0x7fff_ffff)),
    ("hitid_low", |o, h| integer(o, mix(0x1d, h.number) >> 1)),
    ("post_visid_high", |o, h| integer(o, h.person.visid.0)),
    ("post_visid_low", |o, h| integer(o, h.person.visid.1)),
    ("post_visid_type", |o, _| o.push(b'3')),
    ("hit_time_gmt", |o, h| integer(o, h.time.into())),
    // Only apps send a time of their own.
    ("post_cust_hit_time_gmt", |o, h| {
        if h.person.device().mobile > 0 {
            integer(o, h.time.into());
        }
    }),
    ("visit_num", |o, h| integer(o, h.visit_num.into())),
    ("visit_start_time_gmt", |o, h| integer(o, h.visit_start.into())),
    ("visit_page_num", |o, h| integer(o, h.page_num.into())),
    ("new_visit", |o, h| flag(o, h.page_num == 1)),
    ("hit_source", |o, _| o.push(b'1')),
    ("exclude_hit", |o, h| flag(o, h.excluded)),
    ("duplicate_purchase", |o, h| flag(o, h.duplicate)),
    ("post_page_event", |o, h| text(o, if h.page.is_some() { "0" } else { "10" })),
    ("post_page_event_var2", |o, h| text(o, h.link)),
    ("post_pagename", |o, h| {
        if let Some(page) = h.page {
            page.write_name(o);
        }
    }),
    ("post_page_url", |o, h| {
        if let Some(page) = h.page {
            page.write_url(o);
        }
    }),
    ("post_channel", |o, h| text(o, h.page.map_or("", Page::section))),
    ("campaign", |o, h| text(o, h.campaign_set)),
    ("post_campaign", |o, h| text(o, h.campaign)),
    ("evar1", |o, h| escaped(o, h.evars_set[0])),
    ("evar2", |o, h| text(o, h.evars_set[1])),
    ("evar3", |o, h| text(o, h.evars_set[2])),
    ("evar4", |o, h| text(o, h.evars_set[3])),
    ("evar5", |o, h| text(o, h.evars_set[4])),
    ("post_evar1", |o, h| escaped(o, h.evars[0])),
    ("post_evar2", |o, h| text(o, h.evars[1])),
    ("post_evar3", |o, h| text(o, h.evars[2])),
    ("post_evar4", |o, h| text(o, h.evars[3])),
    ("post_evar5", |o, h| text(o, h.evars[4])),
    ("post_prop1", |o, h| text(o, h.page.map_or("", Page::template))),
    ("post_prop2", |o, h| escaped(o, h.search_term)),
    ("post_prop3", |o, h| text(o, if h.person.device().mobile > 0 { "mobile" } else { "desktop" })),
    ("post_mvvar1", |o, h| text(o, h.tags)),
    ("post_event_list", |o, h| o.extend_from_slice(&h.events)),
    ("post_product_list", |o, h| o.extend_from_slice(&h.products)),
    ("post_transactionid", |o, h| o.extend_from_slice(&h.transaction_id)),
    ("post_cust_visid", |o, h| o.extend_from_slice(&h.customer_id)),
    ("ref_domain", |o, h| text(o, h.entry.referring_domain)),
    ("first_hit_ref_domain", |o, h| text(o, h.first_referring_domain)),
    ("ref_type", |o, h| {
        text(
            o,
            match h.entry.channel {
                Channel::PaidSearch | Channel::NaturalSearch => "3",
                Channel::Display | Channel::Affiliate | Channel::Referral => "1",
                Channel::Email => "7",
                Channel::Direct => "6",
                Channel::Social => "9",
            },
        );
    }),
    ("post_search_engine", |o, h| integer(o, h.entry.engine.into())),
    ("post_keywords", |o, h| text(o, h.entry.keyword)),
    ("va_closer_id", |o, h| integer(o, h.entry.channel as u64)),
    ("va_closer_detail", |o, h| text(o, h.entry.detail)),
    ("geo_country", |o, h| text(o, COUNTRIES[h.person.country].code)),
    ("country", |o, h| integer(o, COUNTRIES[h.person.country].id.into())),
    ("post_zip", |o, h| integer(o, 10_000 + (h.person.key >> 20) % 400 * 200)),
    ("post_state", |o, h| text(o, h.person.state())),
    ("browser", |o, h| integer(o, h.person.device().browser.into())),
    ("os", |o, h| integer(o, h.person.device().os.into())),
    ("connection_type", |o, h| text(o, if h.person.device().mobile > 0 { "3" } else { "2" })),
    ("resolution", |o, h| integer(o, h.person.device().resolution.into())),
    ("language", |o, h| integer(o, COUNTRIES[h.person.country].language.into())),
    ("user_agent", |o, h| text(o, h.person.device().user_agent)),
    ("accept_language", |o, h| text(o, COUNTRIES[h.person.country].accept_language)),
    ("post_currency", |o, _| text(o, "USD")),
    ("mobile_id", |o, h| integer(o, h.person.device().mobile.into())),
    ("evar6", |o, h| text(o, h.topic_sent)),
    ("post_evar6", |o, h| text(o, h.topic)),
    ("post_evar7", |_, _| {}),
    ("post_evar8", |_, _| {}),
    ("post_prop4", |_, _| {}),
    ("post_prop5", |_, _| {}),
    ("post_mvvar2", |_, _| {}),
    ("post_mvvar3", |_, _| {}),
    ("post_survey", |_, _| {}),
    ("post_tnt", |_, _| {}),
    ("carrier", |_, _| {}),
    ("post_customer_perspective", |o, h| flag(o, h.background)),
];

/// Appends an amount with two decimals.
pub fn money(out: &mut Vec<u8>, cents: u64) {
    integer(out, cents / 100);
    out.extend_from_slice(&[b'.', b'0' + (cents / 10 % 10) as u8, b'0' + (cents % 10) as u8]);
}

fn flag(out: &mut Vec<u8>, set: bool) {
    out.push(if set { b'1' } else { b'0' });
}

/// Appends text with the escapes of a feed's fields.
fn escaped(out: &mut Vec<u8>, value: &str) {
    with_escapes(out, value, b'\\', b"\t\n\\");
}

/// Appends text with the escapes of lists within a field.
fn list_text(out: &mut Vec<u8>, value: &str) {
    with_escapes(out, value, b'^', b",;=^");
}

fn with_escapes(out: &mut Vec<u8>, value: &str, escape: u8, special: &[u8]) {
    for byte in value.bytes() {
        if special.contains(&byte) {
            out.push(escape);
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_are_escaped() {
        let mut hit = Hit { evars_set: ["C:\\a\tb\nc", "", "", "", ""], ..Hit::default() };
        hit.product(Product { rank: 0 }, 2);
        hit.event(12);
        hit.event(203);
        hit.found_by = "search";
        hit.product(Product { rank: 0 }, 0);
        let mut row = Vec::new();
        hit.write(&mut row);
        let row = String::from_utf8(row).unwrap();
        assert!(row.contains("\tC:\\\\a\\\tb\\\nc\t"));
        let line = "Boots & Shoes;Alder Trail Boots^, wide";
        assert!(row.contains(&format!("\t12,203\t{line};2;15.80,{line};;;107;eVar7=search\t")), "{row}");
        let plain = row.replace("\\\t", "");
        assert_eq!(plain.matches('\t').count() + 1, COLUMNS.len());
    }

    #[test]
    fn numbers_are_decimal() {
        let mut out = Vec::new();
        integer(&mut out, 0);
        integer(&mut out, u64::MAX);
        money(&mut out, 12_005);
        assert_eq!(out, b"018446744073709551615120.05");
    }
}
