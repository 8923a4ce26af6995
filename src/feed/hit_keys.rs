//! The keys of a hit: whose it is, when it was, in which visit, and which transactions it names.
//!
//! In: the record's parts. Out: typed keys, or the field that keeps the record from being a row. An online hit needs a
//! visitor, a time and a visit number, an excluded one a time alone; a summary row (`hit_source` 5, 8, 9) is nobody's.

use std::borrow::Cow;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::hit_columns::{ROLES, Role};
use super::hit_metrics::BadField;
use super::records::unescape;
use super::row_issue;
use crate::columns;

/// Bytes of the transaction ID field that Adobe records; IDs that reach beyond are left out.
pub const MAX_TRANSACTION_ID_BYTES: usize = 100;

/// A record and where its parts are in it.
pub struct Parts<'t> {
    text: &'t str,
    ranges: [Range<usize>; ROLES],
    /// A bit for each that holds a backslash.
    escaped: u32,
}

impl<'t> Parts<'t> {
    /// Of a record none of whose parts is known to have a value.
    pub fn new(text: &'t str) -> Self {
        const { assert!(ROLES <= u32::BITS as usize) }
        Self { text, ranges: [const { 0..0 }; ROLES], escaped: 0 }
    }

    /// Says where a part is; `escaped`: that it holds a backslash.
    pub fn set(&mut self, role: Role, range: Range<usize>, escaped: bool) {
        self.ranges[role as usize] = range;
        self.escaped |= u32::from(escaped) << role as u32;
    }

    /// The part, escapes resolved; empty where the record has none.
    pub fn get(&self, role: Role) -> Cow<'t, str> {
        let part = &self.text[self.ranges[role as usize].clone()];
        if self.escaped & (1 << role as u32) == 0 { Cow::Borrowed(part) } else { unescape(part) }
    }

    /// True where the record has no such part.
    pub fn is_empty(&self, role: Role) -> bool {
        self.ranges[role as usize].is_empty()
    }

    fn integer(&self, role: Role) -> Result<Option<i64>, BadField> {
        let text = self.get(role);
        if text.is_empty() {
            return Ok(None);
        }
        let number =
            text.parse().map_err(|_| (role, format!("{:?} is no whole number", row_issue::clip(&text, 60))))?;
        Ok(Some(number))
    }

    /// Microseconds since 1970 of a field in seconds; empty and 0 are no time.
    fn time(&self, role: Role) -> Result<Option<i64>, BadField> {
        let Some(seconds) = self.integer(role)?.filter(|seconds| *seconds != 0) else { return Ok(None) };
        if (YEAR_1990..YEAR_2200).contains(&seconds) {
            return Ok(Some(seconds * 1_000_000));
        }
        let hint = match (YEAR_1990..YEAR_2200).contains(&(seconds / 1000)) {
            true => "; it seems to be in milliseconds",
            false => "",
        };
        Err((role, format!("{seconds} is not between the years 1990 and 2200 in seconds since 1970{hint}")))
    }
}

/// The keys of a row.
pub struct HitKeys {
    /// Microseconds since 1970.
    pub hit_time: i64,
    /// True where the time is not the hit's own (`hit_time_gmt`) but a corrected one.
    pub corrected: bool,
    /// Order among the rows of one instant.
    pub hit_seq: i128,
    /// What of the hit id is not in it; none where the record has no hit id.
    pub hit_id_rest: Option<i64>,
    /// Of rows that have a visitor.
    pub visit_num: Option<i64>,
    /// Microseconds since 1970, where known.
    pub visit_start: Option<i64>,
    /// 1 where the feed does not say.
    pub hit_source: i64,
    /// 0 where the feed does not say.
    pub exclude_hit: i64,
    /// Number of the hit in its visit.
    pub visit_page_num: Option<i64>,
    /// 1: the purchase does not count.
    pub duplicate_purchase: i64,
    /// An app sent it while nobody used it.
    pub background: bool,
    /// It is excluded and names no visitor.
    nobodys: bool,
}

impl HitKeys {
    /// Summary rows are nobody's, and so are excluded hits that name no visitor.
    pub fn has_visitor(&self) -> bool {
        !self.nobodys && !matches!(self.hit_source, 5 | 8 | 9)
    }

    /// True for a hit of a visitor, false for offline rows that Adobe has integrated.
    pub fn is_online(&self) -> bool {
        self.has_visitor() && self.hit_source != 7
    }
}

/// Reads and checks the keys; the visitor's id goes into `visitor` where the row has one.
///
/// # Errors
/// The field that is missing or wrong.
pub fn read_keys(parts: &Parts<'_>, visitor: &mut String) -> Result<HitKeys, BadField> {
    let corrected = parts.time(Role::CustomTime)?;
    let (hit_seq, hit_id_rest) = hit_sequence(parts)?;
    let hit_time = if corrected.is_some() { corrected } else { parts.time(Role::HitTime)? };
    let mut keys = HitKeys {
        corrected: corrected.is_some(),
        hit_time: hit_time.ok_or_else(|| (Role::HitTime, "no time; every hit needs one".to_owned()))?,
        hit_seq,
        hit_id_rest,
        visit_num: None,
        visit_start: None,
        hit_source: parts.integer(Role::HitSource)?.unwrap_or(1),
        exclude_hit: parts.integer(Role::ExcludeHit)?.unwrap_or(0),
        visit_page_num: parts.integer(Role::VisitPageNum)?,
        duplicate_purchase: parts.integer(Role::DuplicatePurchase)?.unwrap_or(0),
        background: parts.integer(Role::Perspective)?.is_some_and(|perspective| perspective != 0),
        nobodys: false,
    };
    // it is stored and not reported, whosever it is
    let no_visitor = || [Role::VisitorHigh, Role::VisitorLow].iter().any(|role| parts.is_empty(*role));
    keys.nobodys = keys.exclude_hit > 0 && keys.is_online() && no_visitor();
    if keys.has_visitor() {
        read_visitor(parts, visitor)?;
        keys.visit_num = parts.integer(Role::VisitNum)?;
        keys.visit_start = parts.time(Role::VisitStart)?;
        if keys.visit_num.is_none_or(|number| number < 0) && keys.is_online() {
            return Err((Role::VisitNum, "no visit number; every online hit needs one".to_owned()));
        }
    }
    Ok(keys)
}

/// The IDs that are within the first 100 bytes as a whole, and what to say where some do not.
#[inline]
pub fn usable_transaction_ids(ids: Cow<'_, str>) -> (Cow<'_, str>, Option<String>) {
    if ids.len() <= MAX_TRANSACTION_ID_BYTES {
        return (ids, None);
    }
    let whole = memchr::memrchr(b',', &ids.as_bytes()[..=MAX_TRANSACTION_ID_BYTES]).unwrap_or(0);
    let warning = format!(
        "{} bytes of transaction IDs, {MAX_TRANSACTION_ID_BYTES} are recorded; left out: {}",
        ids.len(),
        row_issue::clip(ids[whole..].trim_start_matches(','), 200)
    );
    (Cow::Owned(ids[..whole].to_owned()), Some(warning))
}

const YEAR_1990: i64 = 631_152_000;
const YEAR_2200: i64 = 7_258_118_400;

fn read_visitor(parts: &Parts<'_>, visitor: &mut String) -> Result<(), BadField> {
    visitor.clear();
    let mut zeros = true;
    for role in [Role::VisitorHigh, Role::VisitorLow] {
        let half = parts.get(role);
        if half.is_empty() {
            return Err((role, "no visitor id; every online hit needs both halves".to_owned()));
        }
        // An underscore would make two ids of one text.
        if half.len() > 64 || !half.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err((role, format!("{:?} is no half of a visitor id", row_issue::clip(&half, 60))));
        }
        zeros &= half.bytes().all(|b| b == b'0');
        if role == Role::VisitorLow {
            visitor.push('_');
        }
        visitor.push_str(&half);
    }
    match zeros {
        true => Err((Role::VisitorHigh, "visitor id 0_0 is nobody's".to_owned())),
        false => Ok(()),
    }
}

/// From the hit id where there is one, else all of a hash of the record: offline rows, which may lack a visitor, are
/// told apart by it.
fn hit_sequence(parts: &Parts<'_>) -> Result<(i128, Option<i64>), BadField> {
    let half = |role| {
        let text = parts.get(role);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| (role, format!("{:?} is no hit id", row_issue::clip(&text, 60))))
    };
    Ok(match (half(Role::HitIdHigh)?, half(Role::HitIdLow)?) {
        (Some(high), Some(low)) if high | low > 0 => {
            let (sequence, rest) = columns::hit_sequence(high, low);
            (sequence, Some(rest))
        }
        _ => (i128::from(xxh3_64(parts.text.as_bytes())), None),
    })
}
