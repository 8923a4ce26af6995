//! Functions of one plan are written down, and made again elsewhere.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use super::as_time::AsTime;
use super::as_value::AsValue;
use super::function_spec::{FunctionSpec, PlanFunction};
use super::{
    among_visitors, as_time, as_value, bound_lines, classified, in_segment, local_time, persons, product_lines,
};

impl FunctionSpec {
    /// What a function is made of, if its name alone does not say it.
    pub fn of(function: &ScalarUDF) -> Option<Self> {
        let inner = function.inner();
        if let Some(own) = inner.downcast_ref::<PlanFunction>() {
            return Some(own.function_spec.clone());
        }
        if let Some(own) = inner.downcast_ref::<AsTime>() {
            return Some(own.function_spec());
        }
        if let Some(own) = inner.downcast_ref::<AsValue>() {
            return Some(own.function_spec());
        }
        local_time::suite_zone(inner.as_ref()).map(|suite_zone| Self::LocalTime { suite_zone })
    }

    /// The function; None where there is none of this kind.
    pub fn function(self) -> Option<ScalarUDF> {
        match self {
            Self::Classified { name, classes, multi_valued } => {
                Some(classified::classified(&name, classes, multi_valued))
            }
            Self::ProductLines { metric, dimension, classes } => {
                product_lines::product_lines(&metric, &dimension, classes)
            }
            Self::BoundLines(lines) => Some(bound_lines::bound_lines(lines)),
            Self::InSegment(members) => Some(in_segment::in_segment(&members)),
            Self::PersonId(of) => Some(persons::person_id(&of)),
            Self::PersonStatus(of) => Some(persons::person_status(&of)),
            Self::SharesPerson(keys) => Some(among_visitors::shares_person(&keys)),
            Self::IsLookedAt(keys) => Some(among_visitors::is_looked_at(&keys)),
            Self::AsTime { returns, tries } => Some(as_time::as_time(&returns.parse().ok()?, tries)),
            Self::AsValue { returns, tries } => Some(as_value::as_value(&returns.parse().ok()?, tries)),
            Self::LocalTime { suite_zone } => Some(local_time::udf(Arc::new(move || Ok(suite_zone.clone())))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

    use super::super::classes::Classes;
    use super::super::function_spec::BoundLines;
    use super::super::members::{MemberKind, Members};
    use super::super::person_spans::{Persons, PersonsOfSuite};
    use super::*;

    #[test]
    fn what_is_written_down_makes_the_same_function() {
        let classes = Classes::new([("a".to_string(), "A^,".to_string())], false);
        let folded =
            Classes::new([("A".to_string(), "B".to_string())], true).spelled([("b".into(), "B".into())].into());
        let mut suite = PersonsOfSuite::default();
        suite.add("v1", None, "id:a", true);
        suite.add("v1", Some((5, 1 << 100)), "id:b", true);
        suite.add_id("pc", None);
        suite.complete();
        let shared = suite.shared().clone();
        let of = Persons::new([("acme".to_string(), suite)].into());
        let functions = [
            persons::person_id(&of),
            persons::person_status(&of),
            among_visitors::shares_person(&shared),
            among_visitors::is_looked_at(&shared),
            classified::classified("campaigns.channel", classes.clone(), true),
            product_lines::product_lines("event7", "category", Some(classes)).unwrap(),
            bound_lines::bound_lines(BoundLines {
                metric: "revenue".into(),
                dimension: "evar1".into(),
                by_category: true,
                classes: Some(folded),
            }),
            in_segment::in_segment(&Members::new(MemberKind::Visits, [("v1".to_string(), vec![(1, 5)])].into())),
            as_time::as_time(&DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())), true),
            as_time::as_time(&DataType::Interval(IntervalUnit::MonthDayNano), false),
            as_value::as_value(&DataType::Decimal128(5, 2), true),
            as_value::as_value(&DataType::BinaryView, false),
            local_time::udf(Arc::new(|| Ok("Europe/Berlin".into()))),
        ];
        for function in functions {
            let function_spec = FunctionSpec::of(&function).unwrap();
            let written = serde_json::to_vec(&function_spec).unwrap();
            let again = serde_json::from_slice::<FunctionSpec>(&written).unwrap();
            assert_eq!(again, function_spec);
            let again = again.function().unwrap();
            assert_eq!((again.name(), FunctionSpec::of(&again).unwrap()), (function.name(), function_spec));
        }
        assert!(FunctionSpec::of(&local_time::udf(Arc::new(|| Err(crate::Error::query("two suites"))))).is_none());
    }
}
