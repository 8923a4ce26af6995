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
        journeys.records.iter_mut().for_each(|r| r.orders = r.orders.abs());
    };
    holds(positive, async |journeys| {
        let loaded = journeys.load(false).await;
        let engine = loaded.engine(8192, 2).await;
        let most = answer(&engine, "SELECT item, credit FROM participation('orders', 'tracking_code')").await;
        for model in SHARING.into_iter().filter(|m| *m != "same_touch") {
            for (item, credit) in answer(&engine, &attribution("orders", model, "")).await {
                assert!(credit <= most[&item] + 1e-9, "{model}: {item:?} gets {credit} of at most {}", most[&item]);
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
                    answer(&engine, &attribution("units", model, "")).await,
                ];
                assert!(one.keys().eq(three.keys()), "{model}: {one:?} and {three:?}");
                one.values().zip(three.values()).for_each(|(a, b)| near(3.0 * a, *b, model));
            }
        },
    );
}

#[test]
fn the_order_of_files_changes_nothing() {
    holds(
        |_| {},
        async |journeys| {
            let [one, other] = [journeys.load(false).await, journeys.load(true).await];
            let [one, other] = [one.engine(7, 2).await, other.engine(8192, 4).await];
            for model in ["linear", "time_decay", "participation", "algorithmic"] {
                let sql = attribution("orders", model, "");
                let (left, right) = (answer(&one, &sql).await, answer(&other, &sql).await);
                assert!(left.keys().eq(right.keys()), "{sql}: {left:?} and {right:?}");
                left.values().zip(right.values()).for_each(|(a, b)| near(*a, *b, &sql));
            }
            let sql = "SELECT row_kind, match_status, visitor_id, visit_num, hit_time, hit_seq, record_time, tracking_code, product, orders FROM events ORDER BY hit_time, hit_seq, visitor_id, tracking_code, product";
            assert_eq!(table::rows(&one, sql).await.unwrap().1, table::rows(&other, sql).await.unwrap().1);
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
            for lookback in ["1 day", "30 days"] {
                let sql = format!(
                    "SELECT item, credit FROM attribution('orders', 'tracking_code', '{model}', 'visitor', '{lookback}', basis => 'snapshot')"
                );
                assert!(answer(&engine, &sql).await.values().all(|c| c.abs() < 1e-9), "{sql}");
            }
        }
    });
}
