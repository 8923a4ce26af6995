//! Where a dimension was set: which rows of a feed are touches of the dimensions that persist.
//!
//! What a row set is decided after Adobe's processing, and what is left of that are instances: the ids in
//! `post_event_list` that the delivery's `event.tsv` calls so (`evarN`, `tracking_code`), and `va_instance_event` (the
//! marketing channel). A touch is then an instance with a `post_` value. Where a feed has no such ids, its raw columns
//! decide; a delivery says which of the two holds, and on how many rows they differ.

use std::collections::BTreeMap;
use std::ops::Range;

use super::event_list::EventIds;
use super::hit_columns::{HitLayout, Role};
use crate::columns::numbered;

/// A dimension whose touches are instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Our name of the dimension.
    pub dimension: String,
    /// The field with its value.
    pub value: usize,
    /// The field with what the page sent.
    pub raw: Option<usize>,
    /// The event ids that say so; none for the marketing channel, which has a flag of its own.
    pub ids: Vec<u32>,
}

/// What says where a delivery's eVars and campaign were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchSource {
    /// Instances.
    Instances,
    /// The raw columns.
    RawColumns,
    /// Instances of those that `event.tsv` names, the raw columns of the others.
    Both,
}

impl TouchSource {
    /// The word of the file log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::RawColumns => "raw columns",
            Self::Both => "both",
        }
    }
}

/// The dimensions of a feed whose touches are instances.
pub fn touches(layout: &HitLayout, ids: &EventIds) -> Vec<Touch> {
    let mut by_dimension: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    if layout.header("post_event_list").is_some() {
        ids.instances().for_each(|(id, dimension)| by_dimension.entry(dimension).or_default().push(id));
    }
    let by_event = by_dimension.into_iter().filter_map(|(dimension, ids)| {
        let raw = if dimension == "tracking_code" { "campaign" } else { dimension };
        let value = layout.header(&format!("post_{raw}"))?;
        Some(Touch { dimension: dimension.to_owned(), value, raw: layout.header(raw), ids })
    });
    let channel = [("marketing_channel", "va_closer_id"), ("marketing_channel_detail", "va_closer_detail")];
    let by_flag = channel.into_iter().filter_map(|(dimension, header)| {
        layout.field(Role::ChannelInstance)?;
        let value = layout.header(header)?;
        Some(Touch { dimension: dimension.to_owned(), value, raw: None, ids: vec![] })
    });
    by_event.chain(by_flag).collect()
}

/// What says where the eVars and the campaign of the feed were set; `None` where it has neither.
pub fn told_by(layout: &HitLayout, touches: &[Touch]) -> Option<TouchSource> {
    let persists = |name: &str| name == "tracking_code" || numbered(name, "evar").is_some();
    let all = layout.texts().iter().filter(|text| persists(&text.name)).count();
    match touches.iter().filter(|touch| persists(&touch.dimension)).count() {
        _ if all == 0 => None,
        0 => Some(TouchSource::RawColumns),
        some if some == all => Some(TouchSource::Instances),
        _ => Some(TouchSource::Both),
    }
}

/// What one row says of its touches, by their numbers; used again for the next row.
#[derive(Debug)]
pub struct RowTouches(u32, Vec<DimensionOfRow>);

/// What a row says of one dimension; each part is of the row whose number stands beside it.
#[derive(Debug, Clone, Default)]
struct DimensionOfRow {
    set: u32,
    value: (u32, Range<usize>),
    raw: (u32, Range<usize>),
}

impl RowTouches {
    /// For so many dimensions.
    pub fn new(touches: usize) -> Self {
        Self(0, vec![DimensionOfRow::default(); touches])
    }

    /// Turns to the next row.
    pub fn turn(&mut self) {
        self.0 += 1;
    }

    /// The row is an instance of a dimension.
    pub fn set(&mut self, touch: u16) {
        self.1[usize::from(touch)].set = self.0;
    }

    /// True where the row is one.
    pub fn is_set(&self, touch: u16) -> bool {
        self.1[usize::from(touch)].set == self.0
    }

    /// Where the dimension's value is.
    pub fn value(&mut self, touch: u16, range: Range<usize>) {
        self.1[usize::from(touch)].value = (self.0, range);
    }

    /// True where the row has one.
    pub fn has_value(&self, touch: u16) -> bool {
        self.1[usize::from(touch)].value.0 == self.0
    }

    /// Where that is what the page sent.
    pub fn raw(&mut self, touch: u16, range: Range<usize>) {
        self.1[usize::from(touch)].raw = (self.0, range);
    }

    /// True where the raw column of a dimension would tell another touch of this row, or one more or less.
    pub fn disagrees(&self, touch: u16, row: &str) -> bool {
        let DimensionOfRow { set, value, raw } = &self.1[usize::from(touch)];
        let part = |(of, range): &(u32, Range<usize>)| if *of == self.0 { range.clone() } else { 0..0 };
        let (sent, told) = (part(raw), if *set == self.0 { part(value) } else { 0..0 });
        // most rows have neither, for which no texts are compared: that of no bytes takes longest
        sent.len() != told.len() || !sent.is_empty() && row[sent] != row[told]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NEEDED: [&str; 4] = ["visid_high", "visid_low", "hit_time_gmt", "visit_num"];

    fn read(headers: &[&str], event_tsv: &str) -> (Vec<String>, Option<TouchSource>) {
        let layout = HitLayout::from_headers(&[&NEEDED, headers].concat(), "").unwrap();
        let touches = touches(&layout, &EventIds::parse(event_tsv));
        (touches.iter().map(|touch| touch.dimension.clone()).collect(), told_by(&layout, &touches))
    }

    #[test]
    fn what_decides() {
        let both = "100\tInstance of eVar 1\n20\tCampaign View\n";
        let all = ["post_event_list", "post_evar1", "evar1", "post_campaign", "campaign", "va_closer_id"];
        assert_eq!(read(&all, both), (vec!["evar1".into(), "tracking_code".into()], Some(TouchSource::Instances)));
        assert_eq!(read(&all, "100\tInstance of eVar 1"), (vec!["evar1".into()], Some(TouchSource::Both)));
        assert_eq!(read(&all, ""), (vec![], Some(TouchSource::RawColumns)));
        assert_eq!(read(&all[1..], both), (vec![], Some(TouchSource::RawColumns)), "no list");
        assert_eq!(read(&["event_list", "post_evar1"], both), (vec![], Some(TouchSource::RawColumns)), "a raw list");
        assert_eq!(
            read(&["post_event_list", "evar1"], both),
            (vec![], Some(TouchSource::RawColumns)),
            "no processed value"
        );
        assert_eq!(read(&["post_event_list"], both), (vec![], None));
        let channel = ["va_instance_event", "va_closer_id", "va_closer_detail"];
        assert_eq!(read(&channel, "").0, ["marketing_channel", "marketing_channel_detail"]);
    }

    #[test]
    fn rows_disagree() {
        let mut row = RowTouches::new(2);
        row.turn();
        row.set(0);
        row.value(0, 0..1);
        row.raw(0, 1..2);
        assert!(!row.disagrees(0, "xx") && row.disagrees(0, "xy") && !row.disagrees(1, "xx"));
        assert!(row.has_value(0) && !row.has_value(1));
        row.turn();
        assert!(!row.has_value(0));
        row.value(0, 0..1);
        assert!(!row.is_set(0) && !row.disagrees(0, "xx"), "persisted");
        row.raw(0, 0..1);
        assert!(row.disagrees(0, "xx"), "a rule took it away");
    }
}
