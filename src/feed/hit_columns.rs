//! From the headers of a data feed to the columns that are stored: which field plays which part.
//!
//! Where the feed has a `post_` column it alone is used; the raw `campaign` and `evarN` are what was set on the hit itself
//! (`_set`), unless [`super::touches`] knows better. Every column that plays no part is kept as text under its own name,
//! and under `feed_NAME` where that name is one of ours, so that no header can take the place of a key or a metric.

use std::collections::{HashMap, HashSet};

use super::event_list::is_metric_name;
use super::text::Encoding;
use super::{FeedError, row_issue};
use crate::columns;

/// More columns than any feed has (about 1,200).
pub const MAX_COLUMNS: usize = 8192;
const MAX_HEADER_BYTES: usize = 128;

/// The part that a field plays in a row beside being text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Upper half of the visitor id.
    VisitorHigh,
    /// Lower half of the visitor id.
    VisitorLow,
    /// `post_cust_hit_time_gmt`: the time, where it is set.
    CustomTime,
    /// `hit_time_gmt`: the time otherwise.
    HitTime,
    /// Number of the visit.
    VisitNum,
    /// Start of the visit.
    VisitStart,
    /// Number of the hit in its visit.
    VisitPageNum,
    /// Where the hit came from.
    HitSource,
    /// More than 0: stored, not reported.
    ExcludeHit,
    /// 1: the purchase does not count.
    DuplicatePurchase,
    /// The transaction IDs.
    TransactionId,
    /// The custom visitor id.
    CustomerId,
    /// Upper half of the hit id.
    HitIdHigh,
    /// Lower half of the hit id.
    HitIdLow,
    /// Events of the hit.
    EventList,
    /// Products of the hit.
    ProductList,
    /// The page's name.
    PageName,
    /// The page's address.
    PageUrl,
    /// Other than 0: the hit set the marketing channel.
    ChannelInstance,
    /// Other than 0: an app sent the hit while nobody used it.
    Perspective,
}

/// How many [`Role`]s there are.
pub const ROLES: usize = Role::Perspective as usize + 1;

/// A field that is stored as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumn {
    /// Our name of it.
    pub name: String,
    /// Index of the field.
    pub source: usize,
}

/// What each field of a `hit_data.tsv` is, from its `column_headers.tsv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitLayout {
    headers: Vec<String>,
    roles: [Option<usize>; ROLES],
    texts: Vec<TextColumn>,
}

impl HitLayout {
    /// Reads `column_headers.tsv`: one line, tab separated.
    ///
    /// # Errors
    /// Empty, doubled or odd header names; no visitor, time or visit column.
    pub fn parse(column_headers: &[u8], file: &str) -> Result<Self, FeedError> {
        let text = Encoding::of_bytes(column_headers).decode(column_headers);
        let text = text.ok_or_else(|| FeedError::new(file, "not a text file; is it column_headers.tsv?"))?;
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let line = lines.next().ok_or_else(|| {
            FeedError::new(file, "no column headers; the lookup archive of the delivery has them, send it again")
        })?;
        if lines.next().is_some() {
            return Err(FeedError::new(file, "more than one line, expected the headers alone; is it hit_data.tsv?"));
        }
        Self::from_headers(&line.split('\t').collect::<Vec<_>>(), file)
    }

    /// As [`HitLayout::parse`], of headers that are split already.
    pub fn from_headers(headers: &[&str], file: &str) -> Result<Self, FeedError> {
        let headers = check_headers(headers, file)?;
        let index: HashMap<&str, usize> = headers.iter().enumerate().map(|(i, h)| (h.as_str(), i)).collect();
        let roles = find_roles(&index);
        check_needed(&roles, file)?;
        let texts = find_texts(&headers, &index, &roles);
        Ok(Self { headers, roles, texts })
    }

    /// The headers, lower-cased.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Index of the field with this header.
    pub fn header(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|header| header == name)
    }

    /// Index of the field that plays `role`.
    pub fn field(&self, role: Role) -> Option<usize> {
        self.roles[role as usize]
    }

    /// The fields that play a part.
    pub fn roles(&self) -> impl Iterator<Item = (Role, usize)> {
        ALL_ROLES.iter().filter_map(|role| Some((*role, self.field(*role)?)))
    }

    /// True where a text column has this name.
    pub fn stores(&self, name: &str) -> bool {
        self.texts.iter().any(|text| text.name == name)
    }

    /// The dimensions that come with processed values, in which what was set persists already.
    pub fn processed(&self) -> impl Iterator<Item = &str> {
        let processed =
            |text: &&TextColumn| self.headers[text.source].starts_with("post_") && !text.name.ends_with("_set");
        self.texts.iter().filter(processed).map(|text| text.name.as_str())
    }

    /// The text columns, in the order in which they are stored: dimensions that we name first.
    pub fn texts(&self) -> &[TextColumn] {
        &self.texts
    }
}

const ALL_ROLES: [Role; ROLES] = [
    Role::VisitorHigh,
    Role::VisitorLow,
    Role::CustomTime,
    Role::HitTime,
    Role::VisitNum,
    Role::VisitStart,
    Role::VisitPageNum,
    Role::HitSource,
    Role::ExcludeHit,
    Role::DuplicatePurchase,
    Role::TransactionId,
    Role::CustomerId,
    Role::HitIdHigh,
    Role::HitIdLow,
    Role::EventList,
    Role::ProductList,
    Role::PageName,
    Role::PageUrl,
    Role::ChannelInstance,
    Role::Perspective,
];

/// Our dimensions and the columns that they come from, the first that the feed has.
const DIMENSIONS: &[(&str, &[&str])] = &[
    ("page_name", &["post_pagename", "pagename"]),
    ("page_url", &["post_page_url", "page_url"]),
    ("tracking_code", &["post_campaign", "campaign"]),
    ("tracking_code_set", &["campaign", "post_campaign"]),
    ("marketing_channel", &["va_closer_id"]),
    ("marketing_channel_detail", &["va_closer_detail"]),
    ("referring_domain", &["post_ref_domain", "ref_domain"]),
    ("search_engine", &["post_search_engine", "search_engine"]),
    ("search_keyword", &["post_keywords", "keywords"]),
    ("geo_country", &["geo_country"]),
    ("zip", &["post_zip", "zip", "geo_zip"]),
    ("state", &["post_state", "state"]),
    ("event_list", EVENT_LIST),
    ("product_list", PRODUCT_LIST),
];
const EVENT_LIST: &[&str] = &["post_event_list", "event_list"];
const PRODUCT_LIST: &[&str] = &["post_product_list", "product_list"];

fn check_headers(headers: &[&str], file: &str) -> Result<Vec<String>, FeedError> {
    if headers.len() > MAX_COLUMNS {
        let message = format!("{} columns, more than any data feed has; is it column_headers.tsv?", headers.len());
        return Err(FeedError::new(file, message));
    }
    let (mut names, mut seen, mut doubled) = (Vec::with_capacity(headers.len()), HashSet::new(), Vec::new());
    for (position, header) in headers.iter().enumerate() {
        let name = header.trim().to_ascii_lowercase();
        if name.is_empty() {
            let message = format!("the header of column {} is empty; send the lookup archive again", position + 1);
            return Err(FeedError::new(file, message));
        }
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || name.as_bytes()[0].is_ascii_digit() || name.len() > MAX_HEADER_BYTES {
            let message = format!(
                "the header of column {} is {:?}, expected letters, digits and underscores; is it column_headers.tsv?",
                position + 1,
                row_issue::clip(header, 60)
            );
            return Err(FeedError::new(file, message));
        }
        if !seen.insert(name.clone()) {
            doubled.push(name.clone());
        }
        names.push(name);
    }
    if !doubled.is_empty() {
        doubled.dedup();
        let doubled = doubled.join(", ");
        let doubled = row_issue::clip(&doubled, MAX_HEADER_BYTES);
        let message = format!("columns that occur twice: {doubled}; take them out of the data feed once");
        return Err(FeedError::new(file, message));
    }
    Ok(names)
}

fn first_of(index: &HashMap<&str, usize>, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| index.get(name).copied())
}

fn find_roles(index: &HashMap<&str, usize>) -> [Option<usize>; ROLES] {
    // Both halves of an id are of one kind, or they name nobody.
    let pair = |high: &str, low: &str| Some((*index.get(high)?, *index.get(low)?));
    let visitor = pair("post_visid_high", "post_visid_low").or_else(|| pair("visid_high", "visid_low"));
    let hit_id = pair("hitid_high", "hitid_low");
    ALL_ROLES.map(|role| {
        let names: &[&str] = match role {
            Role::VisitorHigh => return visitor.map(|(high, _)| high),
            Role::VisitorLow => return visitor.map(|(_, low)| low),
            Role::HitIdHigh => return hit_id.map(|(high, _)| high),
            Role::HitIdLow => return hit_id.map(|(_, low)| low),
            Role::CustomTime => &["post_cust_hit_time_gmt"],
            Role::HitTime => &["hit_time_gmt"],
            Role::VisitNum => &["visit_num"],
            Role::VisitStart => &["visit_start_time_gmt"],
            Role::VisitPageNum => &["visit_page_num"],
            Role::HitSource => &["hit_source"],
            Role::ExcludeHit => &["exclude_hit"],
            Role::DuplicatePurchase => &["duplicate_purchase"],
            Role::TransactionId => {
                &["post_transactionid", "post_transaction_id", "transactionid", "transaction_id", "xact_id"]
            }
            Role::CustomerId => &["post_cust_visid", "cust_visid"],
            Role::EventList => EVENT_LIST,
            Role::ProductList => PRODUCT_LIST,
            Role::PageName => &["post_pagename", "pagename"],
            Role::PageUrl => &["post_page_url", "page_url"],
            Role::ChannelInstance => &["va_instance_event"],
            Role::Perspective => &["post_customer_perspective", "customer_perspective"],
        };
        first_of(index, names)
    })
}

fn check_needed(roles: &[Option<usize>; ROLES], file: &str) -> Result<(), FeedError> {
    let has = |role: Role| roles[role as usize].is_some();
    let mut missing = Vec::new();
    if !has(Role::VisitorHigh) {
        missing.push("the visitor (post_visid_high and post_visid_low, or visid_high and visid_low)");
    }
    if !has(Role::CustomTime) && !has(Role::HitTime) {
        missing.push("the time (hit_time_gmt or post_cust_hit_time_gmt)");
    }
    if !has(Role::VisitNum) {
        missing.push("the visit (visit_num)");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("no column for {}; add it to the data feed and have it sent again", missing.join(", for "));
    Err(FeedError::new(file, message))
}

fn find_texts(headers: &[String], index: &HashMap<&str, usize>, roles: &[Option<usize>; ROLES]) -> Vec<TextColumn> {
    let mut texts = Vec::new();
    let mut add = |name: &str, candidates: &[&str]| {
        if let Some(source) = first_of(index, candidates) {
            texts.push(TextColumn { name: name.to_owned(), source });
        }
    };
    for (name, candidates) in DIMENSIONS {
        add(name, candidates);
    }
    let has_role = |role: Role| roles[role as usize].is_some();
    if has_role(Role::ChannelInstance) {
        add("marketing_channel_set", &["va_closer_id"]);
        add("marketing_channel_detail_set", &["va_closer_detail"]);
    }
    for n in 1..=250 {
        let (raw, post) = (format!("evar{n}"), format!("post_evar{n}"));
        add(&raw, &[&post, &raw]);
        add(&format!("{raw}_set"), &[&raw, &post]);
    }
    for n in 1..=75 {
        add(&format!("prop{n}"), &[&format!("post_prop{n}"), &format!("prop{n}")]);
    }
    for n in 1..=3 {
        let list = [&*format!("post_mvvar{n}"), &*format!("mvvar{n}")];
        add(&format!("list{n}"), &list);
        if first_of(index, &list).is_some() {
            add(&format!("list{n}_set"), &[&format!("mvvar{n}_instances")]);
        }
    }

    let mut taken: HashSet<String> = texts.iter().map(|t| t.name.clone()).collect();
    if roles[Role::ProductList as usize].is_some() {
        taken.extend(["product", "category"].map(str::to_owned));
    }
    let mut used = vec![false; headers.len()];
    for source in texts.iter().map(|t| t.source).chain(roles.iter().flatten().copied()) {
        used[source] = true;
    }
    // The hit id orders rows and stays readable, and so do flags; a hit's own time stays beside the corrected one.
    let kept = [Role::HitIdHigh, Role::HitIdLow, Role::ChannelInstance, Role::Perspective].into_iter();
    let kept = kept.chain(roles[Role::CustomTime as usize].map(|_| Role::HitTime));
    for source in kept.filter_map(|role| roles[role as usize]) {
        used[source] = false;
    }
    for (source, header) in headers.iter().enumerate() {
        if used[source] || index.contains_key(format!("post_{header}").as_str()) {
            continue;
        }
        let mut name = header.clone();
        while is_reserved(&name) || taken.contains(&name) || (name != *header && index.contains_key(name.as_str())) {
            name.insert_str(0, "feed_");
        }
        taken.insert(name.clone());
        texts.push(TextColumn { name, source });
    }
    texts
}

fn is_reserved(name: &str) -> bool {
    columns::key_field(name).is_some() || is_metric_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NEEDED: &[&str] = &["visid_high", "visid_low", "hit_time_gmt", "visit_num"];

    fn layout(more: &[&str]) -> HitLayout {
        HitLayout::from_headers(&[NEEDED, more].concat(), "column_headers.tsv").unwrap()
    }

    fn texts(layout: &HitLayout) -> Vec<(&str, &str)> {
        layout.texts().iter().map(|t| (t.name.as_str(), layout.headers()[t.source].as_str())).collect()
    }

    fn refused(headers: &[&str]) -> String {
        HitLayout::from_headers(headers, "column_headers.tsv").unwrap_err().to_string()
    }

    #[test]
    fn a_post_column_alone_is_used() {
        let layout = layout(&[
            "post_visid_high",
            "post_visid_low",
            "post_evar1",
            "evar1",
            "evar2",
            "post_evar3",
            "campaign",
            "post_prop1",
            "prop1",
            "browser_height",
            "post_browser_height",
            "post_channel",
            "user_agent",
        ]);
        assert_eq!(
            texts(&layout),
            [
                ("tracking_code", "campaign"),
                ("tracking_code_set", "campaign"),
                ("evar1", "post_evar1"),
                ("evar1_set", "evar1"),
                ("evar2", "evar2"),
                ("evar2_set", "evar2"),
                ("evar3", "post_evar3"),
                ("evar3_set", "post_evar3"),
                ("prop1", "post_prop1"),
                ("post_browser_height", "post_browser_height"),
                ("post_channel", "post_channel"),
                ("user_agent", "user_agent"),
            ]
        );
        assert_eq!(layout.headers()[layout.field(Role::VisitorHigh).unwrap()], "post_visid_high");
        assert_eq!(layout.field(Role::HitSource), None);
        let processed: Vec<_> = layout.processed().collect();
        assert_eq!(processed, ["evar1", "evar3", "prop1", "post_browser_height", "post_channel"]);
    }

    #[test]
    fn names_of_ours_are_not_taken() {
        let layout = layout(&[
            "visitor_id",
            "event5",
            "orders",
            "suite",
            "feed_suite",
            "pagename",
            "page_name",
            "product_list",
            "product",
            "transactionid",
            "transaction_id",
            "occurrences",
            "hitid_low",
            "hitid_high",
        ]);
        assert_eq!(
            texts(&layout),
            [
                ("page_name", "pagename"),
                ("product_list", "product_list"),
                ("feed_visitor_id", "visitor_id"),
                ("feed_event5", "event5"),
                ("feed_orders", "orders"),
                ("feed_feed_suite", "suite"),
                ("feed_suite", "feed_suite"),
                ("feed_page_name", "page_name"),
                ("feed_product", "product"),
                ("feed_transaction_id", "transaction_id"),
                ("feed_occurrences", "occurrences"),
                ("hitid_low", "hitid_low"),
                ("hitid_high", "hitid_high"),
            ]
        );
        let names: HashSet<_> = layout.texts().iter().map(|t| &t.name).collect();
        assert_eq!(names.len(), layout.texts().len());
    }

    #[test]
    fn times() {
        assert_eq!(texts(&layout(&["post_cust_hit_time_gmt"])), [("hit_time_gmt", "hit_time_gmt")]);
        assert_eq!(texts(&layout(&[])), []);
    }

    #[test]
    fn refuses_what_cannot_be_read() {
        assert!(refused(&["visid_high", "x"]).contains("the visitor (post_visid_high"));
        let all = refused(&["x"]);
        assert!(all.contains("visitor") && all.contains("time") && all.contains("visit_num"), "{all}");
        assert!(refused(&[NEEDED, &["a", "A"]].concat()).contains("twice: a;"));
        assert!(refused(&[NEEDED, &["a", ""]].concat()).contains("column 6 is empty"));
        for odd in ["a b", "é", "1a", "a\0", "\"x\""] {
            assert!(refused(&[NEEDED, &[odd]].concat()).contains("column 5"), "{odd}");
        }
        let many: Vec<String> = (0..9000).map(|n| format!("c{n}")).collect();
        assert!(refused(&many.iter().map(String::as_str).collect::<Vec<_>>()).contains("9000 columns"));
    }

    #[test]
    fn parses_the_file() {
        let parse = |text: &str| HitLayout::parse(text.as_bytes(), "column_headers.tsv");
        let line = NEEDED.join("\t");
        assert_eq!(parse(&format!("\u{FEFF}{}\r\n", line.to_uppercase())).unwrap(), layout(&[]));
        assert!(parse("").unwrap_err().to_string().contains("no column headers"));
        assert!(parse(&format!("{line}\n{line}")).unwrap_err().to_string().contains("more than one line"));
    }
}
