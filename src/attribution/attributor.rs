//! One model at work: a journey and what its conversions reach in, credit out.

use std::ops::Range;

use super::bystanders::Bystanders;
use super::credit::CreditSink;
use super::decay::Decay;
use super::journey::{Conversion, Journey};
use super::model::{Container, Model};
use super::participation::Participation;
use super::parts::{divide, take_apart};
use super::path_filter::PathFilter;
use super::reach::Reach;
use super::shares::{all_to_one, to_each, unreached_to_none, weighted};
use super::whole_days::WholeDays;

/// Applies one model to visitor after visitor; the scratch memory stays.
#[derive(Debug)]
pub struct Attributor {
    model: Model,
    participation: Participation,
    decay: Decay,
    whole_days: WholeDays,
    /// The journey with its parts taken apart, where some have no item.
    apart: Journey,
}

impl Attributor {
    /// `None` for [`Model::Algorithmic`] and [`Model::Markov`], whose shares hang on all visitors: see [`super::PathCounts`] and
    /// [`super::Chain`].
    pub fn new(model: Model) -> Option<Self> {
        (!model.needs_all_visitors()).then(|| Self {
            model,
            participation: Participation::default(),
            decay: Decay::default(),
            whole_days: WholeDays::default(),
            apart: Journey::new(),
        })
    }

    /// True where touches on other rows than the conversion's own count for nothing.
    pub fn looks_at_own_row_only(&self) -> bool {
        self.model == Model::SameTouch
    }

    /// The model.
    pub(super) fn model(&self) -> Model {
        self.model
    }

    /// Bytes of scratch memory that are allocated.
    pub fn memory_bytes(&self) -> usize {
        let models = self.participation.memory_bytes() + self.decay.memory_bytes() + self.whole_days.memory_bytes();
        models + self.apart.memory_bytes()
    }

    /// Hands out the credit of every conversion in the container. `reach` has been found in this very `journey`.
    pub fn credit(&mut self, journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
        if !journey.has_parts_without_item() {
            return self.credit_of_items(journey, reach, sink);
        }
        let mut apart = std::mem::take(&mut self.apart);
        let alone = take_apart(journey, reach, &mut apart);
        let mut found = Reach::new(reach.container(), reach.lookback_us());
        found.find(&apart);
        self.credit_of_items(&apart, &found, sink);
        // what is left of a path is in reach
        let mut found = Reach::new(Container::Visitor, None);
        for (c, portion) in alone {
            PathFilter::default().apply(journey, reach, c, Some(portion), |_| false, &mut apart);
            found.find(&apart);
            self.credit_of_items(&apart, &found, sink);
        }
        self.apart = apart;
    }

    /// Every part of what converts has an item.
    fn credit_of_items(&mut self, journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
        match Bystanders::of(journey, sink) {
            Ok(mut bystanders) => {
                self.credit_parts(journey, reach, &mut bystanders);
                bystanders.settle(self.model, journey, reach);
            }
            Err(sink) => self.credit_parts(journey, reach, sink),
        }
    }

    fn credit_parts(&mut self, journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
        self.credit_whole(journey, reach, sink);
        match self.model {
            _ if !journey.has_parts() => {}
            Model::Participation { deduplicate: true } => self.participation.divide(journey, reach, sink),
            _ => divide(journey, reach, |c| self.own_amount(journey, reach, c), sink),
        }
    }

    /// Takes no notice of parts.
    fn credit_whole(&mut self, journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
        let value = |c: usize| reach.conversion(journey, c).value;
        match self.model {
            Model::FirstTouch => return all_to_one(journey, reach, |_, mut range| range.next(), sink),
            Model::LastTouch => return all_to_one(journey, reach, |_, mut range| range.next_back(), sink),
            Model::SameTouch => {
                let position = |k: usize| journey.position(reach.touch(k));
                let own = |c: &Conversion, mut r: Range<usize>| r.next_back().filter(|k| position(*k) == c.position);
                return all_to_one(journey, reach, own, sink);
            }
            Model::Linear => to_each(journey, reach, |c| value(c) / reach.range(c).len() as f64, sink),
            Model::Participation { deduplicate: false } => to_each(journey, reach, value, sink),
            Model::Participation { deduplicate: true } => self.participation.credit(journey, reach, value, sink),
            Model::TimeDecay { half_life_us, whole_days: false } => {
                self.decay.credit(journey, reach, half_life_us, sink)
            }
            Model::TimeDecay { half_life_us, whole_days: true } => {
                self.whole_days.credit(journey, reach, half_life_us, sink);
            }
            Model::UShaped | Model::JShaped | Model::InverseJ | Model::Custom(_) => {
                if let Some(weights) = self.model.weights() {
                    weighted(journey, reach, weights, sink);
                }
            }
            Model::Algorithmic | Model::Markov { .. } => {}
        }
        unreached_to_none(journey, reach, sink);
    }

    /// What the conversion listed at `c` gave the touch on its own row, the last in its reach.
    fn own_amount(&self, journey: &Journey, reach: &Reach, c: usize) -> f64 {
        let (value, touches) = (reach.conversion(journey, c).value, reach.range(c).len());
        match self.model {
            Model::FirstTouch if touches > 1 => 0.0,
            Model::FirstTouch | Model::LastTouch | Model::SameTouch | Model::Participation { .. } => value,
            Model::Linear => value / touches as f64,
            Model::TimeDecay { whole_days: false, .. } => self.decay.newest_amount(c),
            Model::TimeDecay { whole_days: true, .. } => self.whole_days.newest_amount(c),
            Model::UShaped | Model::JShaped | Model::InverseJ | Model::Custom(_) => {
                let (first, _, last) = self.model.weights().map_or((0.0, 0.0, 0.0), |weights| weights.of_path(touches));
                value * if touches == 1 { first } else { last }
            }
            Model::Algorithmic | Model::Markov { .. } => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::credit::{ItemCredits, RowCredits};
    use super::super::journey::{NO_VISIT, NONE};
    use super::super::model::Container;
    use super::*;
    use crate::time::DAY_US;

    fn conversion(row: u32, time: i64, visit: u32, value: f64) -> Conversion {
        Conversion { row, position: row, time, visit, value }
    }

    fn report(journey: &Journey, container: Container, lookback: Option<i64>, model: &str) -> Vec<(u32, f64)> {
        let model = match model {
            "each occurrence" => Model::Participation { deduplicate: false },
            name => name.parse().unwrap(),
        };
        let (mut reach, mut items, mut rows) = (Reach::new(container, lookback), ItemCredits::new(), RowCredits::new());
        reach.find(journey);
        let mut attributor = Attributor::new(model).unwrap();
        attributor.credit(journey, &reach, &mut items);
        attributor.credit(journey, &reach, &mut rows);
        let in_rows: f64 = rows.iter().flatten().sum();
        let in_items: f64 = items.iter().map(|(_, credit)| credit).sum();
        assert!((in_rows - in_items).abs() <= 1e-9 * in_items.abs().max(1.0));
        items.iter().collect()
    }

    fn assert_near(found: &[(u32, f64)], expected: &[(u32, f64)]) {
        let near = |((a, x), (b, y)): (&(u32, f64), &(u32, f64))| a == b && (x - y).abs() < 0.005;
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(near), "{found:?}\n{expected:?}");
    }

    /// Adobe's order of 50 on 24 September: paid search on the 15th, social on the 18th, e-mail and display the same visit.
    fn order_of_50() -> Journey {
        let (mut journey, hour) = (Journey::new(), DAY_US / 24);
        journey.touch(0, 15 * DAY_US, 0, SEARCH);
        journey.touch(1, 18 * DAY_US, 1, SOCIAL);
        journey.touch(2, 24 * DAY_US + hour, 2, EMAIL);
        journey.touch(3, 24 * DAY_US + 2 * hour, 2, DISPLAY);
        journey.convert(conversion(4, 24 * DAY_US + 3 * hour, 2, 50.0));
        journey
    }

    const SEARCH: u32 = 0;
    const SOCIAL: u32 = 1;
    const EMAIL: u32 = 2;
    const DISPLAY: u32 = 3;

    #[test]
    fn every_model_of_the_worked_example() {
        let journey = order_of_50();
        let visitor = |model| report(&journey, Container::Visitor, Some(30 * DAY_US), model);
        let visit = |model| report(&journey, Container::Visit, Some(30 * DAY_US), model);
        assert_eq!(visit("first_touch"), [(EMAIL, 50.0)]);
        assert_eq!(visitor("first_touch"), [(SEARCH, 50.0)]);
        assert_eq!(visitor("last_touch"), [(DISPLAY, 50.0)]);
        assert_eq!(visitor("same_touch"), [(NONE, 50.0)]);
        assert_eq!(visit("linear"), [(EMAIL, 25.0), (DISPLAY, 25.0)]);
        assert_eq!(visitor("linear"), [(SEARCH, 12.5), (SOCIAL, 12.5), (EMAIL, 12.5), (DISPLAY, 12.5)]);
        assert_near(&visitor("j_shaped"), &[(SEARCH, 10.0), (SOCIAL, 5.0), (EMAIL, 5.0), (DISPLAY, 30.0)]);
        assert_near(&visitor("inverse_j"), &[(SEARCH, 30.0), (SOCIAL, 5.0), (EMAIL, 5.0), (DISPLAY, 10.0)]);
        assert_near(&visitor("u_shaped"), &[(SEARCH, 20.0), (SOCIAL, 5.0), (EMAIL, 5.0), (DISPLAY, 20.0)]);
        assert_near(&visitor("custom(50,20,30)"), &[(SEARCH, 25.0), (SOCIAL, 5.0), (EMAIL, 5.0), (DISPLAY, 15.0)]);
        assert_near(&visit("j_shaped"), &[(EMAIL, 12.5), (DISPLAY, 37.5)]);
        assert_near(&visitor("time_decay(whole)"), &[(SEARCH, 6.92), (SOCIAL, 9.32), (EMAIL, 16.88), (DISPLAY, 16.88)]);
        assert_eq!(visitor("participation"), [(SEARCH, 50.0), (SOCIAL, 50.0), (EMAIL, 50.0), (DISPLAY, 50.0)]);
        let exact = visitor("time_decay(3 days)");
        let weights: f64 = [1.0, 2.0, 147.0, 219.0].map(|hours: f64| (-hours / 72.0).exp2()).iter().sum();
        assert!((exact[0].1 - 50.0 * (-219.0f64 / 72.0).exp2() / weights).abs() < 1e-12);
        assert_eq!(report(&journey, Container::Visitor, Some(0), "linear"), [(NONE, 50.0)]);
    }

    #[test]
    fn leads_and_offline_sales() {
        // day 0 campaign A, day 5 another visit and campaign B, day 10 offline 500
        let mut journey = Journey::new();
        journey.touch(0, 0, 0, 0);
        journey.touch(1, 5 * DAY_US, 1, 1);
        journey.convert(conversion(2, 10 * DAY_US, NO_VISIT, 500.0));
        assert_eq!(report(&journey, Container::Visit, None, "participation"), []);
        assert_eq!(report(&journey, Container::Visitor, None, "participation"), [(0, 500.0), (1, 500.0)]);
        assert_eq!(report(&journey, Container::Visitor, Some(5 * DAY_US), "participation"), [(1, 500.0)]);
        assert_eq!(report(&journey, Container::Visitor, Some(5 * DAY_US - 1), "participation"), [(NONE, 500.0)]);
    }

    #[test]
    fn content_velocity() {
        let pages = |names: &[u32]| {
            let mut journey = Journey::new();
            for (position, page) in (0u32..).zip(names) {
                journey.touch(position, 0, 0, *page);
                journey.convert(conversion(position, 0, 0, 1.0));
            }
            journey
        };
        let (a, b, c, d) = (0, 1, 2, 3);
        let there_and_back = pages(&[a, b, c, b, d, a]);
        let of = |journey: &Journey, model| report(journey, Container::Visit, None, model);
        assert_eq!(of(&there_and_back, "each occurrence"), [(a, 7.0), (b, 8.0), (c, 4.0), (d, 2.0)]);
        assert_eq!(of(&there_and_back, "participation"), [(a, 6.0), (b, 5.0), (c, 4.0), (d, 2.0)]);
        for model in ["participation", "each occurrence"] {
            assert_eq!(of(&pages(&[a, b, c, d]), model), [(a, 4.0), (b, 3.0), (c, 2.0), (d, 1.0)]);
        }
    }

    #[test]
    fn a_refund_on_the_orders_row_nets_nothing_in_every_model() {
        let mut journey = order_of_50();
        let order = journey.conversions()[0];
        journey.touch(5, 25 * DAY_US, 3, DISPLAY);
        journey.convert(Conversion { row: 6, value: -50.0, ..order });
        for model in
            ["first_touch", "linear", "j_shaped", "time_decay", "time_decay(whole)", "participation", "same_touch"]
        {
            let credits = report(&journey, Container::Visitor, None, model);
            assert!(!credits.is_empty() && credits.iter().all(|(_, credit)| *credit == 0.0), "{model}: {credits:?}");
        }
    }

    #[test]
    fn the_window_form_credits_first_touches_and_conversion_rows() {
        let mut journey = Journey::new();
        journey.convert(conversion(0, 0, 0, 2.0));
        for position in [1, 2] {
            journey.touch(position, i64::from(position), 0, 9);
        }
        journey.convert(conversion(2, 2, 0, 3.0));
        journey.convert(conversion(3, 3, 0, 4.0));
        let mut rows = RowCredits::new();
        let mut credited = |lookback| {
            let mut reach = Reach::new(Container::Visitor, lookback);
            reach.find(&journey);
            rows.reset(4);
            Attributor::new(Model::Participation { deduplicate: true }).unwrap().credit(&journey, &reach, &mut rows);
            rows.iter().collect::<Vec<_>>()
        };
        assert_eq!(credited(None), [Some(2.0), Some(7.0), None, None]);
        assert_eq!(credited(Some(1)), [Some(2.0), Some(3.0), Some(4.0), None]);
    }

    /// Boot is viewed; then boot (60) and sock (9) are bought on one row, and a later row earns 5 more.
    fn basket() -> Journey {
        let mut journey = Journey::new();
        journey.touch(0, 0, 0, BOOT);
        journey.touch_all(1, DAY_US, 0, [BOOT, SOCK, GIFT]);
        journey.divide([(BOOT, 60.0), (SOCK, 9.0)]);
        journey.convert(conversion(1, DAY_US, 0, 69.0));
        journey.convert(conversion(2, 2 * DAY_US, 0, 5.0));
        journey
    }

    const BOOT: u32 = 0;
    const SOCK: u32 = 1;
    const GIFT: u32 = 2;

    #[test]
    fn each_part_converts_for_its_own_item() {
        let journey = basket();
        let of = |model| report(&journey, Container::Visitor, None, model);
        // the later row's 5 has no parts: in full to each item of the touches that it sees
        // and what was only in the basket took no part in the order
        assert_eq!(of("same_touch"), [(BOOT, 60.0), (SOCK, 9.0), (NONE, 5.0)]);
        assert_eq!(of("last_touch"), [(BOOT, 65.0), (SOCK, 14.0), (GIFT, 5.0)]);
        assert_eq!(of("first_touch"), [(BOOT, 74.0)]);
        assert_near(&of("linear"), &[(BOOT, 34.5 + 30.0 + 5.0), (SOCK, 4.5 + 2.5), (GIFT, 2.5)]);
        assert_near(&of("j_shaped"), &[(BOOT, 17.25 + 45.0 + 5.0), (SOCK, 6.75 + 3.75), (GIFT, 3.75)]);
        // an item that took part before has the whole order
        assert_eq!(of("participation"), [(BOOT, 74.0), (SOCK, 14.0), (GIFT, 5.0)]);
        assert_eq!(of("each occurrence"), [(BOOT, 69.0 + 60.0 + 10.0), (SOCK, 14.0), (GIFT, 5.0)]);
        let share = 1.0 / (1.0 + 0.5f64.powf(1.0 / 7.0));
        for model in ["time_decay", "time_decay(whole)"] {
            let own = share * 69.0;
            assert_near(
                &of(model),
                &[
                    (BOOT, 69.0 - own + own / 69.0 * 60.0 + 5.0),
                    (SOCK, own / 69.0 * 9.0 + share * 5.0),
                    (GIFT, share * 5.0),
                ],
            );
        }
    }

    #[test]
    fn a_refund_of_a_basket_nets_every_line() {
        let mut journey = basket();
        let order = journey.conversions()[0];
        journey.convert(Conversion { row: 3, value: -69.0, ..order });
        journey.convert(Conversion { row: 4, value: -5.0, ..journey.conversions()[1] });
        for model in [
            "first_touch",
            "last_touch",
            "same_touch",
            "linear",
            "u_shaped",
            "time_decay",
            "time_decay(whole)",
            "participation",
        ] {
            let credits = report(&journey, Container::Visitor, None, model);
            assert!(credits.iter().all(|(_, credit)| credit.abs() < 1e-12), "{model}: {credits:?}");
        }
    }

    #[test]
    fn a_part_of_no_item_is_none() {
        let mut journey = Journey::new();
        journey.touch(1, 0, 0, BOOT);
        journey.divide([(BOOT, 60.0), (NONE, 9.0)]);
        journey.convert(conversion(1, 0, 0, 69.0));
        for model in ["same_touch", "linear", "u_shaped", "time_decay", "participation"] {
            assert_eq!(report(&journey, Container::Visitor, None, model), [(BOOT, 60.0), (NONE, 9.0)], "{model}");
        }
    }

    /// A sock is viewed; a day later a row of several lines earns what they sum to.
    fn after_a_sock(lines: &[(u32, f64)]) -> Journey {
        let mut journey = Journey::new();
        journey.touch(1, 0, 0, SOCK);
        journey.touch_all(3, DAY_US, 0, lines.iter().map(|(item, _)| *item));
        journey.divide(lines.iter().copied());
        journey.convert(conversion(3, DAY_US, 0, lines.iter().map(|(_, amount)| amount).sum()));
        journey
    }

    #[test]
    fn to_a_part_of_no_item_its_row_is_no_touch() {
        let mut journey = after_a_sock(&[(BOOT, 60.0), (NONE, 9.0)]);
        let of = |model| report(&journey, Container::Visitor, None, model);
        assert_eq!(of("first_touch"), [(SOCK, 69.0)]);
        assert_eq!(of("last_touch"), [(BOOT, 60.0), (SOCK, 9.0)]);
        assert_eq!(of("same_touch"), [(BOOT, 60.0), (NONE, 9.0)]);
        assert_eq!(of("linear"), [(BOOT, 30.0), (SOCK, 39.0)]);
        assert_near(&of("inverse_j"), &[(BOOT, 15.0), (SOCK, 54.0)]);
        assert_eq!(of("participation"), [(BOOT, 60.0), (SOCK, 69.0)]);
        assert_eq!(of("each occurrence"), [(BOOT, 60.0), (SOCK, 69.0)]);
        let share = 1.0 / (1.0 + 0.5f64.powf(1.0 / 7.0));
        for model in ["time_decay", "time_decay(whole)"] {
            assert_near(&of(model), &[(BOOT, 60.0 * share), (SOCK, 69.0 - 60.0 * share)]);
        }
        // nothing is in reach of the part
        assert_eq!(report(&journey, Container::Visitor, Some(0), "last_touch"), [(BOOT, 60.0), (NONE, 9.0)]);
        let order = journey.conversions()[0];
        journey.convert(Conversion { row: 5, value: -69.0, ..order });
        for model in ["first_touch", "last_touch", "same_touch", "linear", "u_shaped", "time_decay", "participation"] {
            let credits = report(&journey, Container::Visitor, None, model);
            assert!(!credits.is_empty() && credits.iter().all(|(_, c)| c.abs() < 1e-12), "{model}: {credits:?}");
        }
    }

    #[test]
    fn parts_that_sum_to_nothing_beside_one_of_no_item_convert() {
        let journey = after_a_sock(&[(BOOT, 5.0), (GIFT, -5.0), (NONE, 3.0)]);
        let of = |model| report(&journey, Container::Visitor, None, model);
        assert_eq!(of("first_touch"), [(SOCK, 3.0)]);
        assert_eq!(of("last_touch"), [(BOOT, 5.0), (SOCK, 3.0), (GIFT, -5.0)]);
        assert_eq!(of("same_touch"), [(BOOT, 5.0), (GIFT, -5.0), (NONE, 3.0)]);
        assert_eq!(of("linear"), [(BOOT, 2.5), (SOCK, 3.0), (GIFT, -2.5)]);
        assert_eq!(of("participation"), [(BOOT, 5.0), (SOCK, 3.0), (GIFT, -5.0)]);
    }

    #[test]
    fn parts_of_no_item_that_sum_to_nothing_take_part() {
        let journey = after_a_sock(&[(BOOT, 3.0), (NONE, 5.0), (NONE, -5.0)]);
        let of = |model| report(&journey, Container::Visitor, None, model);
        assert_eq!(of("first_touch"), [(SOCK, 3.0)]);
        assert_eq!(of("last_touch"), [(BOOT, 3.0), (SOCK, 0.0)]);
        assert_eq!(of("same_touch"), [(BOOT, 3.0), (NONE, 0.0)]);
        assert_eq!(of("linear"), [(BOOT, 1.5), (SOCK, 1.5)]);
        assert_eq!(of("participation"), [(BOOT, 3.0), (SOCK, 3.0)]);
        assert_eq!(report(&journey, Container::Visitor, Some(0), "last_touch"), [(BOOT, 3.0), (NONE, 0.0)]);
    }

    #[test]
    fn long_journeys_with_short_half_lives_stay_finite() {
        let mut journey = Journey::new();
        for i in 0..2000u32 {
            let time = i64::from(i) * DAY_US;
            journey.touch(i, time, 0, i % 2);
            journey.convert(conversion(i, time, 0, 1.0));
        }
        for model in ["time_decay(1 minute)", "time_decay(1 minute, whole)", "time_decay(1 us)"] {
            let credits = report(&journey, Container::Visitor, None, model);
            assert_near(&credits, &[(0, 1000.0), (1, 1000.0)]);
        }
    }

    #[test]
    fn small_conversions_after_large_ones_keep_their_digits() {
        let mut journey = Journey::new();
        for i in 0..4000u32 {
            let (item, value) = if i < 2000 { (0, 1e12 + 0.1) } else { (1, 1e-3) };
            let time = i64::from(i) + if i < 2000 { 0 } else { 1_000_000 };
            journey.touch(i, time, 0, item);
            journey.convert(conversion(i, time, 0, value));
        }
        for model in ["participation", "linear", "u_shaped", "time_decay", "time_decay(whole)"] {
            let credits = report(&journey, Container::Visitor, Some(500_000), model);
            assert!((credits[1].1 - 2.0).abs() < 1e-10, "{model}: {credits:?}");
        }
    }
}
