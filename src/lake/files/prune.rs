//! Which files and pages a query's filters rule out, beyond what the filters themselves say.
//!
//! Who asks for visitors by their ids need read only their buckets, and of those the pages that hold their keys: in every
//! sorted table of ours a row with a visitor id has the key of that id.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, ident, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::scalar::ScalarValue;

use super::layout::TAG_BUCKET;
use super::parts::KeyRange;
use crate::columns::{VISITOR_ID, VISITOR_KEY, visitor_key};
use crate::lake::DataFile;

/// Visitors that are few: of a file hardly more is read for them than a page each.
const FEW: usize = 8;

/// The keys of the visitors that filters ask for; None when any visitor may do.
#[derive(Debug, PartialEq)]
pub struct Visitors(Option<BTreeSet<i64>>);

impl Visitors {
    /// What `filters`, all of which hold, ask for.
    pub fn of(filters: &[Expr]) -> Self {
        Self(filters.iter().filter_map(keys_of).reduce(|a, b| a.intersection(&b).copied().collect()))
    }

    /// Those of either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0.zip(other.0).map(|(own, others)| own.union(&others).copied().collect()))
    }

    /// True when any visitor may do.
    pub fn are_any(&self) -> bool {
        self.0.is_none()
    }

    /// True when only a few visitors do.
    pub fn are_few(&self) -> bool {
        self.0.as_ref().is_some_and(|keys| keys.len() <= FEW)
    }

    /// Of some keys those from the first to the last of these visitors'; None when none of them has one.
    pub fn within(&self, keys: KeyRange) -> Option<KeyRange> {
        let Some(own) = &self.0 else { return Some(keys) };
        let mut inside = own.range(keys.first..=keys.last).copied();
        let first = inside.next()?;
        Some(KeyRange { first, last: inside.next_back().unwrap_or(first) })
    }

    /// False when no row of the file is of these visitors.
    pub fn may_be_in(&self, file: &DataFile) -> bool {
        let own = KeyRange::of_tags(&file.tags);
        self.may_be_between(own.first, own.last)
    }

    /// False when none of these visitors has a key from `first` to `last`, both inclusive.
    pub fn may_be_between(&self, first: i64, last: i64) -> bool {
        self.0.as_ref().is_none_or(|keys| keys.range(first..=last).next().is_some())
    }
}

/// `filters`, of which those that ask for visitors ask for their keys instead, by which row groups and pages are skipped: what files
/// say of ids skips no more. Other visitors with such a key are left in. Only files of ours have the keys that it counts on.
pub fn with_visitor_keys<'a>(filters: &'a [Expr], files: &[&DataFile]) -> Cow<'a, [Expr]> {
    let Visitors(Some(keys)) = Visitors::of(filters) else { return filters.into() };
    if !files.iter().all(|f| f.tags.contains_key(TAG_BUCKET)) {
        return filters.into();
    }
    let keys: Vec<Expr> = keys.into_iter().map(lit).collect();
    let of_visitors = match keys.as_slice() {
        [key] => ident(VISITOR_KEY).eq(key.clone()),
        _ => ident(VISITOR_KEY).in_list(keys, false),
    };
    let others = filters.iter().filter(|filter| keys_of(filter).is_none()).cloned();
    [of_visitors].into_iter().chain(others).collect()
}

/// True for a condition by which pages may be passed over: of visitors alone the files know what their pages hold.
pub fn may_pass_over_pages(condition: &Arc<dyn PhysicalExpr>) -> bool {
    collect_columns(condition).iter().any(|column| [VISITOR_KEY, VISITOR_ID].contains(&column.name()))
}

/// The keys of the only visitors for whom a filter can be true; None when others may do.
fn keys_of(filter: &Expr) -> Option<BTreeSet<i64>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq => key_of(left, right).or_else(|| key_of(right, left)).map(|key| BTreeSet::from([key])),
            Operator::Or => Some(keys_of(left)?.union(&keys_of(right)?).copied().collect()),
            Operator::And => match (keys_of(left), keys_of(right)) {
                (Some(a), Some(b)) => Some(a.intersection(&b).copied().collect()),
                (a, b) => a.or(b),
            },
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => list.iter().map(|value| key_of(expr, value)).collect(),
        _ => None,
    }
}

/// The key that `column = value` asks for.
fn key_of(column: &Expr, value: &Expr) -> Option<i64> {
    let (Expr::Column(column), Expr::Literal(value, _)) = (column, value) else { return None };
    match value {
        ScalarValue::Utf8(Some(id)) | ScalarValue::Utf8View(Some(id)) if column.name == VISITOR_ID => {
            Some(visitor_key(id))
        }
        ScalarValue::Int64(Some(key)) if column.name == VISITOR_KEY => Some(*key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::expressions::{IsNotNullExpr, col};

    use super::*;
    use crate::lake::layout::bucket_of;

    fn asked(filters: &[Expr]) -> Option<Vec<i64>> {
        Visitors::of(filters).0.map(|keys| keys.into_iter().collect())
    }

    fn id(value: &str) -> Expr {
        ident(VISITOR_ID).eq(lit(value))
    }

    #[test]
    fn visitors_are_found_in_filters() {
        let (a, b) = (visitor_key("a"), visitor_key("b"));
        let sorted = |mut keys: Vec<i64>| {
            keys.sort_unstable();
            Some(keys)
        };
        let other = ident("page_name").eq(lit("home"));
        assert_eq!(asked(&[id("a")]), Some(vec![a]));
        assert_eq!(asked(&[lit("a").eq(ident(VISITOR_ID))]), Some(vec![a]));
        assert_eq!(asked(&[id("a").or(id("b"))]), sorted(vec![a, b]));
        assert_eq!(asked(&[ident(VISITOR_ID).in_list(vec![lit("a"), lit("b")], false)]), sorted(vec![a, b]));
        assert_eq!(asked(&[id("a").or(id("b")), other.clone().and(id("b"))]), Some(vec![b]));
        assert_eq!(asked(&[id("a"), id("b")]), Some(vec![]), "nobody is both");
        assert_eq!(asked(&[ident(VISITOR_KEY).eq(lit(7_i64))]), Some(vec![7]));
        for any in [
            id("a").or(other.clone()),
            other,
            ident(VISITOR_ID).not_eq(lit("a")),
            ident(VISITOR_ID).in_list(vec![lit("a")], true),
            ident(VISITOR_ID).in_list(vec![lit("a"), ident("customer_id")], false),
            ident(VISITOR_ID).eq(lit(ScalarValue::Utf8(None))),
            ident("customer_id").eq(lit("a")),
        ] {
            assert_eq!(asked(&[any]), None);
        }
    }

    #[test]
    fn visitors_of_two_questions_are_those_of_either() {
        let of = |keys: &[i64]| Visitors(Some(keys.iter().copied().collect()));
        assert_eq!(of(&[1, 5]).or(of(&[5, 9])), of(&[1, 5, 9]));
        assert!(of(&[1]).or(Visitors::of(&[])).are_any() && !of(&[]).are_any());
        assert!(of(&[]).are_few() && of(&[1, 5]).are_few() && !Visitors::of(&[]).are_few());
        assert!(!of(&(0..=FEW as i64).collect::<Vec<_>>()).are_few());
        let within = |visitors: &Visitors, first: i64, last: i64| {
            visitors.within(KeyRange { first, last }).map(|keys| (keys.first, keys.last))
        };
        let visitors = of(&[1, 5, 9]);
        assert_eq!(within(&visitors, i64::MIN, i64::MAX), Some((1, 9)));
        assert_eq!((within(&visitors, 2, 5), within(&visitors, 6, 8)), (Some((5, 5)), None));
        assert_eq!(within(&Visitors::of(&[]), 6, 8), Some((6, 8)));
    }

    #[test]
    fn pages_are_passed_over_by_visitors_alone() {
        let columns = [VISITOR_KEY, VISITOR_ID, "page_name"].map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Schema::new(columns.to_vec());
        let value = |name: &str| IsNotNullExpr::new(col(name, &schema).expect("a column of the schema"));
        let condition = |name: &str| Arc::new(value(name)) as Arc<dyn PhysicalExpr>;
        assert!(may_pass_over_pages(&condition(VISITOR_KEY)) && may_pass_over_pages(&condition(VISITOR_ID)));
        assert!(!may_pass_over_pages(&condition("page_name")));
    }

    #[test]
    fn a_file_of_another_bucket_is_ruled_out() {
        let file = |bucket: Option<usize>| DataFile {
            relative: "f".into(),
            path: "f".into(),
            size: 1,
            rows: Some(1),
            hit_time: None,
            tags: bucket.map(|b| (TAG_BUCKET.to_string(), b.to_string())).into_iter().collect::<HashMap<_, _>>(),
        };
        let filters = [id("a")];
        let (own, visitors) = (bucket_of(visitor_key("a")), Visitors::of(&filters));
        assert!(visitors.may_be_in(&file(Some(own))) && !visitors.may_be_in(&file(Some(own ^ 1))));
        assert!(visitors.may_be_in(&file(None)) && Visitors::of(&[]).may_be_in(&file(Some(own ^ 1))));
        let other = ident("page_name").eq(lit("home"));
        let narrowed = |filters: &[Expr], buckets: &[Option<usize>]| {
            let files: Vec<DataFile> = buckets.iter().map(|bucket| file(*bucket)).collect();
            with_visitor_keys(filters, &files.iter().collect::<Vec<_>>()).into_owned()
        };
        let key = ident(VISITOR_KEY).eq(lit(visitor_key("a")));
        assert_eq!(narrowed(&[other.clone(), id("a")], &[Some(own)]), [key, other.clone()]);
        assert_eq!(narrowed(&filters, &[Some(own), None]), filters, "a foreign file's keys");
        let both = [id("a").or(id("b")), other];
        let asked = narrowed(&both, &[Some(own)]);
        assert!(matches!(asked.as_slice(), [Expr::InList(_), _]) && Visitors::of(&asked) == Visitors::of(&both));
    }
}
