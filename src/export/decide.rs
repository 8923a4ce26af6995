//! What is to be sent of one conversion: from what is so now, and what the ledger says that the target has.
//!
//! Pure. Values are rounded to a millionth and to 15 digits, so that neither a sum whose parts came in another order is sent again
//! nor one whose last bit the ledger does not keep.

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::xxh3_64;

use super::definition::Export;
use super::fields::{self, Treatment, is_currency};
use super::normal::Normal;
use super::query::{Query, id_of_rank};
use super::target::Target;
use crate::Result;
use crate::lake::records::ExportEvent;

/// Told for the first time.
pub const NEW: &str = "new";
/// Told again, with another value, time or currency.
pub const RESTATED: &str = "restated";
/// Taken back.
pub const RETRACTED: &str = "retracted";
/// Not sent.
pub const INELIGIBLE: &str = "ineligible";
/// The target has it as it is, after something else was noted.
pub const UNCHANGED: &str = "unchanged";

/// A conversion as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversion {
    /// What it shares with those that are called alike.
    pub id: String,
    /// When, microseconds.
    pub time_us: i64,
    /// Its value; None where the expression gives no number.
    pub value: Option<f64>,
    /// It may be sent.
    pub consent: bool,
    /// Texts of the fields that come from expressions.
    pub fields: Vec<Option<String>>,
}

impl Conversion {
    /// Tells conversions apart that are called alike.
    fn content(&self) -> u64 {
        let mut text = format!("{} {:?}", self.time_us, self.value.map(f64::to_bits));
        for field in &self.fields {
            text.push('\u{1f}');
            text.push_str(field.as_deref().unwrap_or("\u{1e}"));
        }
        xxh3_64(text.as_bytes())
    }
}

/// Gives conversions that are called alike their ids, by the hashes of their contents.
pub fn ranked(mut alike: Vec<Conversion>) -> Vec<(String, Conversion)> {
    if alike.len() > 1 {
        alike.sort_by_cached_key(|conversion| (conversion.content(), conversion.time_us));
    }
    alike.into_iter().enumerate().map(|(n, conversion)| (id_of_rank(&conversion.id, n + 1), conversion)).collect()
}

/// A conversion as it is sent to a target.
#[derive(Clone, Debug, PartialEq)]
pub struct SentConversion {
    /// Its id.
    pub id: String,
    /// `new`, `restated` or `retracted`.
    pub action: &'static str,
    /// When, microseconds.
    pub time_us: i64,
    /// Its value; 0 of what is taken back.
    pub value: f64,
    /// Its currency.
    pub currency: String,
    /// The other fields, as they leave the lake.
    pub fields: Vec<(String, String)>,
    /// Under which identifiers the target has it, JSON; where it was sent before and no longer exists.
    pub identifiers: Option<String>,
}

impl SentConversion {
    /// A field's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
    }
}

/// A row for the ledger, and what is sent to the target, if anything.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The row; its run is to be filled in.
    pub row: ExportEvent,
    /// What is sent.
    pub sent: Option<SentConversion>,
}

/// Decides for one export.
#[derive(Debug)]
pub struct Decider<'e> {
    export: &'e Export,
    query: &'e Query,
    /// Where the currency comes from an expression.
    currency_place: Option<usize>,
    /// The currency of all conversions otherwise.
    currency: Option<String>,
    /// Conversions before this are too old, after that one are still to come; microseconds.
    oldest_us: Option<i64>,
    now_us: i64,
    /// Why a conversion is not sent whose identifiers are missing.
    without_identifier: &'static str,
}

impl<'e> Decider<'e> {
    /// For a run at `now`; `currency` is the suite's.
    pub fn new(export: &'e Export, query: &'e Query, currency: &str, now: DateTime<Utc>) -> Result<Self> {
        let now_us = now.timestamp_micros();
        let constant = export.settings.constants.get("currency").cloned();
        let known = fields::of(export.target);
        let finds = |name: &String| known.iter().find(|field| field.name == *name && field.identifies);
        let by_click =
            query.fields.iter().filter_map(|column| finds(&column.name)).all(|f| f.form == fields::Form::Click);
        Ok(Self {
            export,
            query,
            currency_place: query.place_of("currency"),
            currency: constant.or_else(|| Some(currency.to_string())).filter(|c| is_currency(c)),
            oldest_us: export.oldest_age_us()?.map(|age| now_us.saturating_sub(age)),
            now_us,
            without_identifier: if by_click { "no click id" } else { "no identifier" },
        })
    }

    fn currency_of(&self, conversion: &Conversion) -> Option<String> {
        match self.currency_place {
            Some(place) => {
                let text = conversion.fields[place].as_deref().map(|text| text.trim().to_uppercase());
                text.filter(|text| is_currency(text))
            }
            None => self.currency.clone(),
        }
    }

    /// The fields as they leave the lake; those without a value are left out.
    fn fields_of(&self, conversion: &Conversion) -> Vec<(String, String)> {
        let constants = &self.export.settings.constants;
        let country = constants.get("phone_country").map(String::as_str);
        let mut all: Vec<(String, String)> = vec![];
        for (column, text) in self.query.fields.iter().zip(&conversion.fields) {
            let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) else { continue };
            let treated = match column.treatment {
                Treatment::AsIs => Some(text.to_string()),
                Treatment::Lower => Normal::Name.write(text, None),
                Treatment::Hash(normal) => normal.hash(text, country),
            };
            all.extend(treated.map(|text| (column.name.clone(), text)));
        }
        all.extend(constants.iter().map(|(name, text)| (name.clone(), text.clone())));
        all
    }

    /// True where something tells the target who it was.
    fn finds(&self, fields: &[(String, String)]) -> bool {
        fields.iter().any(|(name, _)| fields::identifies(self.export.target, name))
    }

    /// Why a conversion is not sent, apart from consent. What was sent before has an id that the target knows, and needs no
    /// identifier of its own.
    fn refusal(
        &self,
        conversion: &Conversion,
        currency: Option<&str>,
        fields: &[(String, String)],
        known: bool,
    ) -> Option<&'static str> {
        let target = self.export.target;
        let Some(value) = conversion.value else { return Some("no value") };
        if target == Target::Csv {
            return self.oldest_us.filter(|oldest| conversion.time_us < *oldest).map(|_| "too old");
        }
        let has = |name: &str| fields.iter().any(|(field, _)| field == name);
        if currency.is_none() {
            return Some("no currency");
        }
        if !known && !self.finds(fields) {
            return Some(self.without_identifier);
        }
        if has("gbraid") && has("wbraid") {
            return Some("gbraid and wbraid");
        }
        if let Some(wrong) = fields::wrong_source(target, fields) {
            return Some(wrong);
        }
        if value < 0.0 && !target.takes_negative() {
            return Some("negative value");
        }
        if conversion.time_us > self.now_us {
            return Some("in the future");
        }
        self.oldest_us.filter(|oldest| conversion.time_us < *oldest).map(|_| "too old")
    }

    /// What is to be sent of the conversion of this id. `identifiers` gives those of what is sent, where the target wants them
    /// again. None: the ledger says all of it.
    pub fn decide(
        &self,
        id: &str,
        now: Option<&Conversion>,
        held: Option<&ExportEvent>,
        identifiers: impl Fn(&SentConversion) -> Option<String>,
    ) -> Option<Decision> {
        let Some(now) = now else { return self.gone(id, held?) };
        let value = now.value.map(rounded);
        let currency = self.currency_of(now);
        let at_target = held.filter(|held| held.sent_time.is_some());
        let time = DateTime::from_timestamp_micros(now.time_us);
        let same =
            |held: &ExportEvent| held.sent_time == time && held.sent_value == value && held.sent_currency == currency;
        if now.consent && at_target.is_some_and(same) {
            // what was noted since is so no more
            let noted = held.is_some_and(|held| held.action == INELIGIBLE);
            let row = || row(self.export, id, UNCHANGED, time, value, currency.clone(), at_target);
            return noted.then(|| Decision { row: row(), sent: None });
        }
        let fields = self.fields_of(now);
        let conversion = Conversion { value, ..now.clone() };
        let refusal = match now.consent {
            false => Some("no consent"),
            true => self.refusal(&conversion, currency.as_deref(), &fields, at_target.is_some()),
        };
        let takes_back = self.export.target.takes_back();
        let refusal = match at_target {
            Some(_) if refusal.is_none() && !takes_back => Some("the target changes nothing"),
            _ => refusal,
        };
        if let Some(reason) = refusal {
            if let Some(held) = at_target.filter(|_| !now.consent && takes_back) {
                return Some(self.taken_back(id, held, Some(reason)));
            }
            let noted = held.is_some_and(|held| {
                held.action == INELIGIBLE
                    && held.reason.as_deref() == Some(reason)
                    && (held.time, held.value, &held.currency) == (time, value, &currency)
            });
            let mut row = row(self.export, id, INELIGIBLE, time, value, currency, at_target);
            row.reason = Some(reason.into());
            return (!noted).then_some(Decision { row, sent: None });
        }
        let action = if at_target.is_some() { RESTATED } else { NEW };
        let kept = at_target.filter(|_| !self.finds(&fields)).and_then(|held| held.identifiers.clone());
        let sent = SentConversion {
            id: id.to_string(),
            action,
            time_us: now.time_us,
            value: value.unwrap_or_default(),
            currency: currency.clone().unwrap_or_default(),
            fields,
            identifiers: kept,
        };
        let mut row = row(self.export, id, action, time, value, currency.clone(), None);
        (row.sent_time, row.sent_value, row.sent_currency) = (time, value, currency);
        row.identifiers = sent.identifiers.clone().or_else(|| identifiers(&sent));
        Some(Decision { row, sent: Some(sent) })
    }

    /// A conversion is no more.
    fn gone(&self, id: &str, held: &ExportEvent) -> Option<Decision> {
        held.sent_time?;
        if self.export.target.takes_back() {
            return Some(self.taken_back(id, held, None));
        }
        let reason = "gone, and the target takes nothing back";
        let noted = held.action == INELIGIBLE && held.reason.as_deref() == Some(reason);
        let mut row = row(self.export, id, INELIGIBLE, None, None, None, Some(held));
        row.reason = Some(reason.into());
        (!noted).then_some(Decision { row, sent: None })
    }

    fn taken_back(&self, id: &str, held: &ExportEvent, reason: Option<&str>) -> Decision {
        let currency = held.sent_currency.clone();
        let constants = self.export.settings.constants.iter().map(|(name, text)| (name.clone(), text.clone()));
        let sent = SentConversion {
            id: id.to_string(),
            action: RETRACTED,
            time_us: held.sent_time.map_or(0, |time| time.timestamp_micros()),
            value: 0.0,
            currency: currency.clone().unwrap_or_default(),
            fields: constants.collect(),
            identifiers: held.identifiers.clone(),
        };
        let mut row = row(self.export, id, RETRACTED, held.sent_time, Some(0.0), currency, None);
        row.reason = reason.map(str::to_string);
        Decision { row, sent: Some(sent) }
    }
}

/// A row of the ledger; what the target has stays as `sent` says.
fn row(
    export: &Export,
    id: &str,
    action: &str,
    time: Option<DateTime<Utc>>,
    value: Option<f64>,
    currency: Option<String>,
    sent: Option<&ExportEvent>,
) -> ExportEvent {
    ExportEvent {
        suite: export.suite.clone(),
        export: export.name.clone(),
        event: id.to_string(),
        run: 0,
        action: action.to_string(),
        reason: None,
        time,
        value,
        currency,
        sent_time: sent.and_then(|s| s.sent_time),
        sent_value: sent.and_then(|s| s.sent_value),
        sent_currency: sent.and_then(|s| s.sent_currency.clone()),
        identifiers: sent.and_then(|s| s.identifiers.clone()),
    }
}

/// Above this, a millionth is beyond the 15 digits that a number has.
const LARGE: f64 = 1e9;

/// To a millionth and to 15 digits: as many come back from a text as they went into it.
fn rounded(value: f64) -> f64 {
    match value.abs() < LARGE {
        // 0 and -0 are one number
        true => (value * 1e6).round() / 1e6 + 0.0,
        false => format!("{value:.14e}").parse().unwrap_or(value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::DAY_US;

    const NOW_US: i64 = 1_790_000_000_000_000;

    fn export(target: &str) -> Export {
        let mut export: Export = Export {
            name: "closed".into(),
            suite: "web".into(),
            target: target.parse().unwrap(),
            metric: "orders".into(),
            settings: Default::default(),
        };
        export
            .settings
            .fields
            .extend([("click_id", "a"), ("gclid", "a"), ("fbc", "a")].map(|(n, e)| (n.into(), e.into())));
        export
            .settings
            .constants
            .extend([("event_source", "WEB"), ("action_source", "website")].map(|(n, t)| (n.into(), t.into())));
        export.settings.max_age = Some("7 days".into());
        export
    }

    /// A conversion so many days ago, with a click if it has one.
    fn ago(days: i64, value: f64, click: Option<&str>) -> Conversion {
        let fields = vec![click.map(str::to_string); 3];
        Conversion { id: "a".repeat(32), time_us: NOW_US - days * DAY_US, value: Some(value), consent: true, fields }
    }

    /// What is done, why, and what the target has then.
    fn said(decision: Option<Decision>) -> Option<(String, String, Option<f64>, ExportEvent)> {
        let row = decision?.row;
        Some((row.action.clone(), row.reason.clone().unwrap_or_default(), row.sent_value, row))
    }

    /// Goes from one state of a conversion to the next; what is said of each.
    fn walk(target: &str, states: &[Option<Conversion>]) -> Vec<(String, String, Option<f64>)> {
        let export = export(target);
        let query = Query::of(&export).unwrap();
        let decider = Decider::new(&export, &query, "EUR", DateTime::from_timestamp_micros(NOW_US).unwrap()).unwrap();
        let (mut held, mut all) = (None, vec![]);
        for now in states {
            let decided = decider.decide("x", now.as_ref(), held.as_ref(), |_| Some("{}".into()));
            if let Some((action, reason, sent, row)) = said(decided) {
                all.push((action, reason, sent));
                held = Some(row);
            }
        }
        all
    }

    fn of(action: &str, reason: &str, sent: Option<f64>) -> (String, String, Option<f64>) {
        (action.into(), reason.into(), sent)
    }

    #[test]
    fn a_conversion_is_told_once_and_again_where_it_changed() {
        let states = [
            Some(ago(1, 5.0, None)),
            Some(ago(1, 5.0, None)),
            Some(ago(1, 5.0, Some("c"))),
            Some(ago(1, 5.000_000_01, Some("c"))),
            Some(ago(1, 6.0, Some("c"))),
            Some(ago(2, 6.0, Some("c"))),
            Some(ago(2, 7.0, None)),
            None,
            None,
            Some(ago(2, 7.0, Some("c"))),
        ];
        let sent = walk("ecapi", &states);
        let expected = [
            of(INELIGIBLE, "no click id", None),
            of(NEW, "", Some(5.0)),
            of(RESTATED, "", Some(6.0)),
            of(RESTATED, "", Some(6.0)),
            of(RESTATED, "", Some(7.0)),
            of(RETRACTED, "", None),
            of(NEW, "", Some(7.0)),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn what_cannot_be_told_leaves_the_target_as_it_is() {
        let without_consent = Conversion { consent: false, ..ago(1, 5.0, Some("c")) };
        let states = [
            Some(ago(1, 5.0, Some("c"))),
            Some(ago(9, 6.0, Some("c"))),
            Some(ago(9, 6.0, Some("c"))),
            Some(ago(1, 5.0, Some("c"))),
            Some(without_consent.clone()),
            Some(without_consent.clone()),
        ];
        let sent = walk("google", &states);
        let expected = [
            of(NEW, "", Some(5.0)),
            of(INELIGIBLE, "too old", Some(5.0)),
            of(UNCHANGED, "", Some(5.0)),
            of(RETRACTED, "no consent", None),
            of(INELIGIBLE, "no consent", None),
        ];
        assert_eq!(sent, expected);
        let states = [Some(ago(1, 5.0, Some("c"))), Some(ago(1, 6.0, Some("c"))), Some(without_consent), None, None];
        let sent = walk("meta", &states);
        let expected = [
            of(NEW, "", Some(5.0)),
            of(INELIGIBLE, "the target changes nothing", Some(5.0)),
            of(INELIGIBLE, "no consent", Some(5.0)),
            of(INELIGIBLE, "gone, and the target takes nothing back", Some(5.0)),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_value_is_the_same_after_it_was_a_text() {
        for value in [0.1 + 0.2, -0.0, 1e9, 1e10 / 3.0, 1e15 / 7.0, -1e12 / 9.0, 1e300] {
            let once = rounded(value);
            let again: f64 = serde_json::from_str(&serde_json::to_string(&once).unwrap()).unwrap();
            assert_eq!((again.to_bits(), rounded(again).to_bits()), (once.to_bits(), once.to_bits()), "{value}");
        }
        assert_eq!(rounded(0.1 + 0.2), 0.3);
        assert!(rounded(-0.0).is_sign_positive());
    }

    #[test]
    fn alike_conversions_have_ranks_that_hang_on_no_order() {
        let alike = || vec![ago(1, 5.0, None), ago(1, 6.0, None), ago(1, 5.0, Some("c"))];
        let one = ranked(alike());
        let other = ranked(alike().into_iter().rev().collect());
        assert_eq!(one, other);
        assert_eq!(one[1].0, format!("{}-2", "a".repeat(32)));
    }
}
