//! Product lines of made-up visitors, by hand.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::time::DAY_US;

const BOOT: u32 = 0;
const COAT: u32 = 1;
const SOCK: u32 = 2;

fn line(product: u32, value: Option<u32>, amount: f64) -> ProductLine {
    ProductLine { product, value: value.unwrap_or(NONE), amount: (amount != 0.0).then_some(amount) }
}

/// A visitor's rows, one a day: lines, what converts, whether the row ends bindings, the visit.
type Day<'a> = (&'a [ProductLine], f64, bool, u32);

fn bound(allocation: Allocation, expiry: &str, container: Container, days: &[Day<'_>]) -> Bindings {
    let rules = BindingRules { allocation, expiry: expiry.parse().unwrap() };
    let metric_ends = matches!(rules.expiry, Expiry::Metric(_));
    let mut bindings = Bindings::new(rules, container, None);
    for (day, (lines, value, ends, visit)) in (0..).zip(days) {
        let time = i64::from(day) * DAY_US;
        bindings.row(day, (time, 0, None), *visit, lines.iter().copied());
        bindings.convert(day, time, *value);
        if *ends && metric_ends {
            bindings.end();
        }
    }
    bindings.settle();
    bindings
}

fn credit(bindings: &mut Bindings, model: &str) -> Vec<(u32, f64)> {
    let mut models = [(Attributor::new(model.parse().unwrap()), ItemCredits::new())];
    bindings.credit(&mut models, None);
    let credits: Vec<(u32, f64)> = models[0].1.iter().collect();
    // one conversion after the other says the same
    let mut explained = ItemCredits::new();
    let values: Vec<f64> = bindings.converted().map(|(.., value)| value).collect();
    for (c, value) in values.into_iter().enumerate() {
        let steps = bindings.explain(c, model.parse().unwrap());
        steps.iter().filter(|s| s.share != 0.0).for_each(|s| explained.credit(s.item, s.line, s.share * value));
    }
    let explained: Vec<(u32, f64)> = explained.iter().collect();
    let near = |((a, x), (b, y)): (&(u32, f64), &(u32, f64))| a == b && (x - y).abs() < 1e-9;
    assert!(credits.len() == explained.len() && credits.iter().zip(&explained).all(near), "{credits:?} {explained:?}");
    credits
}

const MODELS: [&str; 6] = ["first_touch", "last_touch", "linear", "u_shaped", "time_decay", "participation"];

#[test]
fn each_value_has_the_revenue_of_its_product() {
    let found = [line(BOOT, Some(7), 0.0)];
    let then = [line(COAT, Some(8), 0.0)];
    let order = [line(BOOT, None, 38.0), line(COAT, None, 119.0), line(SOCK, None, 3.0)];
    let days: [Day<'_>; 3] = [(&found, 0.0, false, 0), (&then, 0.0, false, 0), (&order, 160.0, false, 0)];
    let mut bindings = bound(Allocation::MostRecent, "visitor", Container::Visitor, &days);
    for model in MODELS {
        assert_eq!(credit(&mut bindings, model), [(7, 38.0), (8, 119.0), (NONE, 3.0)], "{model}");
    }
    assert_eq!(credit(&mut bindings, "same_touch"), [(NONE, 160.0)]);
    assert_eq!(bindings.ends(0).0, 2);
}

#[test]
fn lines_of_no_product_take_part_though_they_sum_to_0() {
    let nothing = ProductLine { amount: Some(0.0), ..line(NONE, None, 0.0) };
    let returned = [line(NONE, None, 5.0), line(NONE, None, -5.0), line(BOOT, Some(7), 10.0)];
    let given = [nothing, line(BOOT, Some(7), 10.0)];
    for (order, expected) in [(&returned[..], vec![(7, 10.0), (NONE, 0.0)]), (&given[..], vec![(7, 10.0)])] {
        let mut bindings = bound(Allocation::MostRecent, "visitor", Container::Visitor, &[(order, 10.0, false, 0)]);
        let mut models = [(Attributor::new(Model::Linear), ItemCredits::new())];
        bindings.credit(&mut models, None);
        assert_eq!(models[0].1.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_row_that_converts_as_a_whole_gives_each_item_the_largest_of_its_shares() {
    let days: [Day<'_>; 4] = [
        (&[line(BOOT, Some(7), 0.0)], 0.0, false, 0),
        (&[line(BOOT, Some(8), 0.0), line(COAT, Some(8), 0.0)], 0.0, false, 0),
        (&[line(BOOT, Some(7), 0.0)], 0.0, false, 0),
        (&[line(BOOT, None, 0.0), line(COAT, None, 0.0), line(SOCK, None, 0.0)], -6.0, false, 0),
    ];
    let mut bindings = bound(Allocation::MostRecent, "visitor", Container::Visitor, &days);
    // boot: 7 two thirds, 8 one third; coat: 8; sock: nobody
    assert_eq!(credit(&mut bindings, "linear"), [(7, -4.0), (8, -6.0), (NONE, -6.0)]);
    assert_eq!(credit(&mut bindings, "last_touch"), [(7, -6.0), (8, -6.0), (NONE, -6.0)]);
    assert_eq!(credit(&mut bindings, "participation"), [(7, -6.0), (8, -6.0), (NONE, -6.0)]);
    assert_eq!(bindings.ends(0).0, 4);
}

#[test]
fn bindings_end() {
    let found = [line(BOOT, Some(7), 0.0)];
    let again = [line(BOOT, Some(8), 5.0)];
    let later = [line(BOOT, None, 5.0)];
    let days: [Day<'_>; 4] =
        [(&found, 0.0, false, 0), (&again, 5.0, true, 1), (&[], 0.0, false, 1), (&later, 5.0, false, NO_VISIT)];
    let of = |allocation, expiry: &str| {
        let mut bindings = bound(allocation, expiry, Container::Visitor, &days);
        ["first_touch", "last_touch"].map(|model| credit(&mut bindings, model))
    };
    let recent = Allocation::MostRecent;
    assert_eq!(of(recent, "visitor"), [vec![(7, 10.0)], vec![(8, 10.0)]]);
    assert_eq!(of(recent, "visit"), [vec![(8, 5.0), (NONE, 5.0)], vec![(8, 5.0), (NONE, 5.0)]]);
    assert_eq!(of(recent, "orders"), [vec![(7, 5.0), (NONE, 5.0)], vec![(8, 5.0), (NONE, 5.0)]]);
    assert_eq!(of(recent, "2 days"), [vec![(7, 5.0), (8, 5.0)], vec![(8, 10.0)]]);
    assert_eq!(of(Allocation::Original, "visitor"), [vec![(7, 10.0)], vec![(7, 10.0)]]);
    assert_eq!(of(Allocation::Original, "visit"), [vec![(8, 5.0), (NONE, 5.0)], vec![(8, 5.0), (NONE, 5.0)]]);
    // the second is none while the first lives, and lives no longer than from then on
    assert_eq!(of(Allocation::Original, "2 days"), [vec![(7, 5.0), (NONE, 5.0)], vec![(7, 5.0), (NONE, 5.0)]]);
}

#[test]
fn a_line_sees_what_stands_before_it() {
    let order = [line(BOOT, Some(7), 10.0), line(BOOT, Some(8), 20.0), line(BOOT, None, 4.0), line(NONE, Some(9), 1.0)];
    let days: [Day<'_>; 1] = [(&order, 35.0, false, 0)];
    let mut bindings = bound(Allocation::MostRecent, "visitor", Container::Visitor, &days);
    assert_eq!(credit(&mut bindings, "last_touch"), [(7, 10.0), (8, 24.0), (NONE, 1.0)]);
    assert_eq!(credit(&mut bindings, "same_touch"), [(7, 10.0), (8, 20.0), (NONE, 5.0)]);
    assert_eq!(credit(&mut bindings, "first_touch"), [(7, 34.0), (NONE, 1.0)]);
}

#[test]
fn visits_are_journeys_of_their_own_in_their_container() {
    let days: [Day<'_>; 3] = [
        (&[line(BOOT, Some(7), 0.0)], 0.0, false, 0),
        (&[line(BOOT, Some(8), 5.0)], 5.0, false, 1),
        (&[line(BOOT, None, 5.0)], 5.0, false, 0),
    ];
    let mut bindings = bound(Allocation::MostRecent, "visitor", Container::Visit, &days);
    assert_eq!(credit(&mut bindings, "last_touch"), [(7, 5.0), (8, 5.0)]);
    let mut bindings = bound(Allocation::Original, "visitor", Container::Visit, &days);
    assert_eq!(credit(&mut bindings, "last_touch"), [(7, 5.0), (NONE, 5.0)]);
}

#[test]
fn a_row_at_the_place_of_another_has_its_lines() {
    let mut bindings = bound(
        Allocation::MostRecent,
        "visitor",
        Container::Visitor,
        &[(&[line(BOOT, Some(7), 30.0), line(COAT, Some(8), 10.0)], 40.0, false, 0)],
    );
    bindings.anchor(9, (0, 0, None), -40.0);
    bindings.anchor(10, (1, 0, None), -2.0);
    bindings.settle();
    for model in MODELS {
        assert_eq!(credit(&mut bindings, model), [(7, 0.0), (8, 0.0), (NONE, -2.0)], "{model}");
    }
    assert_eq!(bindings.converted().map(|c| (c.0, c.2)).collect::<Vec<_>>(), [(0, 40.0), (9, -40.0), (10, -2.0)]);
    bindings.clear();
    bindings.settle();
    assert_eq!((bindings.conversions(), credit(&mut bindings, "linear")), (0, vec![]));
}

#[test]
fn a_row_at_the_place_of_one_without_lines_has_none() {
    let rules = BindingRules { allocation: Allocation::MostRecent, expiry: Expiry::Visitor };
    let mut bindings = Bindings::new(rules, Container::Visitor, None);
    bindings.row(0, (0, 0, Some(3)), 0, [line(BOOT, Some(7), 30.0)]);
    for (number, rest, value) in [(1, Some(3), -30.0), (2, Some(4), -5.0), (3, None, -30.0)] {
        bindings.anchor(number, (0, 0, rest), value);
    }
    bindings.settle();
    assert_eq!(credit(&mut bindings, "last_touch"), [(7, -60.0), (NONE, -5.0)]);
}

#[test]
fn paths_are_those_of_products() {
    let days: [Day<'_>; 3] = [
        (&[line(BOOT, Some(7), 0.0), line(COAT, Some(8), 0.0), line(SOCK, Some(9), 0.0)], 0.0, false, 0),
        (&[line(BOOT, None, 5.0)], 5.0, false, 0),
        (&[line(BOOT, None, 0.0), line(COAT, None, 0.0)], 2.0, false, 0),
    ];
    let mut bindings = bound(Allocation::MostRecent, "visitor", Container::Visitor, &days);
    let mut counts = PathCounts::new();
    bindings.credit(&mut [], Some(&mut counts));
    let mut sets: Vec<_> = counts.sets.iter().map(|(set, n)| (set.to_vec(), n.value.value(), n.paths)).collect();
    sets.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(sets, [(vec![7], 5.0, 1), (vec![7, 8], 2.0, 1), (vec![9], 0.0, 1)]);
}
