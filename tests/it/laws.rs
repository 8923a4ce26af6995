//! Laws that hold for every journey and need no oracle.

use crate::journeys::{Journeys, journeys};
use crate::oracle::{Credit, SHARING, answer, runner};
use crate::place::deep;
use crate::table;

/// Runs a law on random journeys that `change` has made fit.
fn holds(change: impl Fn(&mut Journeys) + Sync, law: impl AsyncFn(&Journeys) + Sync) {
    deep(|runtime| {
        let outcome = runner(3, 0).run(&journeys(), |mut journeys| {
            change(&mut journeys);
            runtime.block_on(law(&journeys));
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}

fn attribution(metric: &str, model: &str, rest: &str) -> String {
    format!("SELECT item, credit FROM attribution('{metric}', 'tracking_code', '{model}', 'visitor', 'all'{rest})")
}

#[track_caller]
fn near(left: f64, right: f64, place: &str) {
    assert!((left - right).abs() <= 1e-9 * left.abs().max(1.0), "{place}: {left} and {right}");
}

#[test]
fn shares_sum_to_the_conversions() {
    holds(
        |_| {},
        async |journeys| {
            let loaded = journeys.load(false).await;
            let engine = loaded.engine(7, 2).await;
            let total = "SELECT 'all', coalesce(sum(orders), 0) FROM events WHERE visitor_id IS NOT NULL";
            let total = answer(&engine, total).await[&Some("all".into())];
            for model in SHARING.into_iter().chain(["algorithmic"]) {
                let credit = answer(&engine, &attribution("orders", model, "")).await;
                near(credit.values().sum(), total, model);
            }
        },
    );
}

#[test]
fn participation_is_the_most_that_an_item_can_get() {
    let positive = |journeys: &mut Journeys| {
        journeys.hits.iter_mut().for_each(|h| h.orders = h.orders.map(i32::abs));
        journeys.hits.iter_mut().for_each(|h| h.prices.iter_mut().for_each(|price| *price = price.abs()));
        journeys.records.iter_mut().for_each(|r| (r.orders, r.revenue) = (r.orders.abs(), r.revenue.abs()));
    };
    holds(positive, async |journeys| {
        let loaded = journeys.load(false).await;
        let engine = loaded.engine(8192, 2).await;
        let most = answer(&engine, "SELECT item, credit FROM participation('orders', 'tracking_code')").await;
        let of_lines = "SELECT item, credit FROM participation('revenue', 'product')";
        let most_of_lines = answer(&engine, of_lines).await;
        for model in SHARING.into_iter().chain(["algorithmic"]) {
            let lines = attribution("revenue", model, "").replace("tracking_code", "product");
            for (sql, most) in [(attribution("orders", model, ""), &most), (lines, &most_of_lines)] {
                // same touch calls a conversion nobody's whose touches are on other rows
                for (item, credit) in answer(&engine, &sql).await.into_iter().filter(|(item, _)| item.is_some()) {
                    assert!(credit <= most[&item] + 1e-9, "{sql}: {item:?} gets {credit} of at most {}", most[&item]);
                }
            }
        }
    });
}

#[test]
fn credit_scales_with_the_metric() {
    holds(
        |_| {},
        async |journeys| {
            let loaded = journeys.load(false).await;
            let engine = loaded.engine(8192, 1).await;
            for model in SHARING.into_iter().chain(["participation", "algorithmic"]) {
                let [one, three] = [
                    answer(&engine, &attribution("orders", model, "")).await,
                    answer(&engine, &attribution("event1", model, "")).await,
                ];
                assert!(one.keys().eq(three.keys()), "{model}: {one:?} and {three:?}");
                one.values().zip(three.values()).for_each(|(a, b)| near(3.0 * a, *b, model));
            }
        },
    );
}

#[test]
fn weights_of_ones_own_make_the_named_shapes() {
    holds(
        |_| {},
        async |journeys| {
            let loaded = journeys.load(false).await;
            let engine = loaded.engine(8192, 2).await;
            for (own, named) in [
                ("custom(40,20,40)", "u_shaped"),
                ("custom(1,1,3)", "j_shaped"),
                ("custom(0.6,0.2,0.2)", "inverse_j"),
                ("time_decay(7 days)", "time_decay"),
                ("time_decay(168 hours, exact)", "time_decay"),
            ] {
                let [own, named] = [own, named].map(|model| attribution("orders", model, ""));
                let (left, right) = (answer(&engine, &own).await, answer(&engine, &named).await);
                assert!(left.keys().eq(right.keys()), "{own}: {left:?} and {right:?}");
                left.values().zip(right.values()).for_each(|(a, b)| near(*a, *b, &own));
            }
        },
    );
}

/// Each visitor's touches, then one order: with the touches' order turned round, J and inverse J change places.
#[test]
fn j_and_inverse_j_mirror_each_other() {
    const LAST: i64 = 80 * crate::journeys::DAY;
    let ordered = |journeys: &mut Journeys| {
        journeys.records.clear();
        for (n, hit) in (0i64..).zip(&mut journeys.hits) {
            // no ties: within an instant the order is a hash's
            (hit.time, hit.orders, hit.ids) = (LAST / 2 + hit.time % (LAST / 4) / 64 * 64 + n, None, vec![]);
        }
        for visitor in 0..4 {
            let Some(hit) = journeys.hits.iter().find(|hit| hit.visitor == visitor) else { continue };
            let order = crate::journeys::Hit {
                time: LAST,
                campaign: None,
                products: vec![],
                prices: vec![],
                orders: Some(i32::from(visitor) + 1),
                ..hit.clone()
            };
            journeys.hits.push(order);
        }
    };
    holds(ordered, async |journeys| {
        let mut mirrored = journeys.clone();
        mirrored.hits.iter_mut().filter(|hit| hit.time < LAST).for_each(|hit| hit.time = LAST - hit.time);
        let (one, other) = (journeys.load(false).await, mirrored.load(false).await);
        let (one, other) = (one.engine(8192, 2).await, other.engine(7, 1).await);
        for (model, mirror) in
            [("j_shaped", "inverse_j"), ("first_touch", "last_touch"), ("u_shaped", "u_shaped"), ("linear", "linear")]
        {
            let left = answer(&one, &attribution("orders", model, "")).await;
            let right = answer(&other, &attribution("orders", mirror, "")).await;
            assert!(left.keys().eq(right.keys()), "{model}: {left:?} and {right:?}");
            left.values().zip(right.values()).for_each(|(a, b)| near(*a, *b, model));
        }
    });
}

#[test]
fn the_order_of_files_changes_nothing() {
    holds(
        |_| {},
        async |journeys| {
            let [one, other] = [journeys.load(false).await, journeys.load(true).await];
            let [one, other] = [one.engine(7, 2).await, other.engine(8192, 4).await];
            let models =
                ["first_touch", "last_touch", "j_shaped", "linear", "time_decay", "participation", "algorithmic"];
            for model in models {
                let sql = attribution("orders", model, "");
                let (left, right) = (answer(&one, &sql).await, answer(&other, &sql).await);
                assert!(left.keys().eq(right.keys()), "{sql}: {left:?} and {right:?}");
                left.values().zip(right.values()).for_each(|(a, b)| near(*a, *b, &sql));
            }
            let conversions = "SELECT visitor_id, hit_time, row_kind, value, touches, first_item, first_time, last_item, last_time FROM conversions('orders', 'tracking_code') ORDER BY hit_time, visitor_id, row_kind, value, touches, first_item, last_item, first_time, last_time";
            let paths = "SELECT array_to_string(path, ' > ', '-') AS path, conversions, value FROM paths('orders', 'tracking_code') ORDER BY path, conversions, value";
            let flow = "SELECT * FROM flow('tracking_code', after => 'orders > 0', depth => 4) ORDER BY 1, 2, 3";
            let events = "SELECT row_kind, match_status, visitor_id, visit_num, hit_time, hit_seq, record_time, tracking_code, product, orders FROM events ORDER BY hit_time, hit_seq, visitor_id, file, \"row\"";
            for sql in [conversions, paths, flow, events] {
                assert_eq!(table::rows(&one, sql).await.unwrap().1, table::rows(&other, sql).await.unwrap().1, "{sql}");
            }
        },
    );
}

/// Every order has an ID of its own and is taken back in full: on the snapshot basis nothing is left, in every model.
#[test]
fn a_refund_nets_its_order() {
    let refunded = |journeys: &mut Journeys| {
        journeys.records.clear();
        for hit in &mut journeys.hits {
            (hit.ids, hit.orders) = (vec![], None);
        }
        let found: Vec<_> = journeys.hits.iter_mut().take(6).enumerate().collect();
        for (id, hit) in found {
            (hit.ids, hit.orders) = (vec![id as u8], Some(id as i32 + 1));
            let record = crate::journeys::Record {
                customer: false,
                id: id as u8,
                time: hit.time + 1 + 7 * id as i64 * crate::journeys::DAY,
                date_only: false,
                campaign: (id % 2 == 0).then_some(3),
                product: None,
                orders: -(id as i32) - 1,
                revenue: -hit.revenue(),
            };
            journeys.records.push(record);
        }
    };
    holds(refunded, async |journeys| {
        let loaded = journeys.load(false).await;
        let engine = loaded.engine(7, 2).await;
        for model in SHARING.into_iter().chain(["participation", "algorithmic"]) {
            let credit: Credit = answer(&engine, &attribution("orders", model, ", basis => 'snapshot'")).await;
            assert!(credit.values().all(|c| c.abs() < 1e-9), "{model}: {credit:?}");
            for (metric, dimension, lookback) in [
                ("orders", "tracking_code", "1 day"),
                ("orders", "product", "30 days"),
                ("revenue", "product", "1 day"),
                ("revenue", "product", "all"),
            ] {
                let sql = format!(
                    "SELECT item, credit FROM attribution('{metric}', '{dimension}', '{model}', 'visitor', '{lookback}', basis => 'snapshot')"
                );
                assert!(answer(&engine, &sql).await.values().all(|c| c.abs() < 1e-9), "{sql}");
            }
        }
    });
}
