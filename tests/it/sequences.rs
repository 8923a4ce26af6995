//! Funnels and flows by brute force on random journeys: what rows satisfy is asked in plain SQL, and every chain of rows is tried
//! here. Nothing is shared with the product.

use std::collections::BTreeMap;

use proptest::prelude::TestCaseError;
use rejoin::engine::Engine;

use crate::journeys::{DAY, WITHIN_PLACE, instant};
use crate::questions::{PREDICATES, in_worlds};
use crate::table;

const GROUPS: [(&str, &str); 3] = [
    ("month", "CAST(date_trunc('month', local_time(hit_time)) AS DATE)"),
    ("tracking_code", "tracking_code"),
    ("prop1", "prop1"),
];

/// A row of a journey, in its order.
struct Row {
    journey: String,
    /// Microseconds, sequence, and where it stands among rows that have both.
    at: (i64, i128, i64),
    in_window: bool,
    /// What it touches.
    item: String,
    group: String,
    satisfies: Vec<bool>,
}

/// The rows of all journeys, each with which of the conditions it satisfies.
async fn rows(engine: &Engine, visit: bool, window: Option<(i64, i64)>, group: &str, conditions: &[&str]) -> Vec<Row> {
    let window = window.map_or("true".to_string(), |(since, until)| {
        let day = |second| instant(second).format("%FT%TZ").to_string();
        format!("hit_time >= TIMESTAMP '{}' AND hit_time < TIMESTAMP '{}'", day(since), day(until))
    });
    let journey = match visit {
        true => "concat(visitor_id, '/', visit_num, '/', CAST(visit_start AS BIGINT))",
        false => "visitor_id",
    };
    let satisfied: Vec<String> = conditions.iter().map(|condition| format!("coalesce(({condition}), false)")).collect();
    let satisfied: String = satisfied.iter().enumerate().map(|(n, sql)| format!(", {sql} AS s{n}")).collect();
    let of_visits = if visit { " AND row_kind = 'online' AND visit_num IS NOT NULL" } else { "" };
    let sql = format!(
        "SELECT {journey} AS j, CAST(hit_time AS BIGINT) AS t, CAST(hit_seq AS VARCHAR) AS q, {window} AS w,
            touch(tracking_code) AS i, {group} AS g, {WITHIN_PLACE} AS p{satisfied} FROM events WHERE visitor_id IS NOT NULL{of_visits}"
    );
    let (_, rows) = table::rows(engine, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let row = |cells: Vec<String>| Row {
        journey: cells[0].clone(),
        at: (cells[1].parse().unwrap(), cells[2].parse().unwrap(), cells[6].parse().unwrap()),
        in_window: cells[3] == "true",
        item: if cells[4] == "(empty)" { "NULL".into() } else { cells[4].clone() },
        group: cells[5].clone(),
        satisfies: cells[7..].iter().map(|cell| cell == "true").collect(),
    };
    let mut rows: Vec<Row> = rows.into_iter().map(row).collect();
    rows.sort_by_key(|row| row.at);
    rows
}

fn by_journey(rows: &[Row]) -> BTreeMap<&str, Vec<&Row>> {
    let mut journeys: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| journeys.entry(&row.journey).or_default().push(row));
    journeys
}

/// All chains of rows from `chain` on: handed to `each`, with those that stop early.
fn chains(rows: &[&Row], chain: &mut Vec<usize>, within: Option<i64>, at_once: bool, each: &mut dyn FnMut(&[usize])) {
    each(chain);
    let step = chain.len();
    let from = chain.last().map_or(0, |last| last + 1);
    let to = if at_once && step > 0 { rows.len().min(from + 1) } else { rows.len() };
    for row in from..to {
        let fits = rows[row].satisfies.get(step).copied().unwrap_or_default()
            && (step > 0 || rows[row].in_window)
            && chain.first().is_none_or(|first| within.is_none_or(|most| rows[row].at.0 - rows[*first].at.0 <= most));
        if fits {
            chain.push(row);
            chains(rows, chain, within, at_once, each);
            chain.pop();
        }
    }
}

/// Of each group and step: the journeys, and the middle of the seconds since the step before.
type Counts = BTreeMap<(String, usize), (usize, Option<f64>)>;

fn funnel(rows: &[Row], within: Option<i64>, at_once: bool) -> Counts {
    let mut seconds: BTreeMap<(String, usize), Vec<f64>> = BTreeMap::new();
    for rows in by_journey(rows).into_values() {
        let mut best: Vec<usize> = vec![];
        chains(&rows, &mut vec![], within, at_once, &mut |chain| {
            let better = (chain.len(), std::cmp::Reverse((chain.last(), chain)))
                > (best.len(), std::cmp::Reverse((best.last(), &best)));
            if better {
                best = chain.to_vec();
            }
        });
        for (step, row) in best.iter().enumerate() {
            let since = if step == 0 { 0 } else { rows[*row].at.0 - rows[best[step - 1]].at.0 };
            seconds.entry((rows[best[0]].group.clone(), step + 1)).or_default().push(since as f64 / 1e6);
        }
    }
    let middle = |(key, mut seconds): ((String, usize), Vec<f64>)| {
        seconds.sort_by(f64::total_cmp);
        let (low, high) = (seconds[(seconds.len() - 1) / 2], seconds[seconds.len() / 2]);
        let median = (key.1 > 1).then_some((low + high) / 2.0);
        (key, (seconds.len(), median))
    };
    seconds.into_iter().map(middle).collect()
}

/// Of each step, item and next item: the journeys.
fn flow(rows: &[Row], before: bool, depth: usize) -> BTreeMap<Vec<String>, usize> {
    let mut counts = BTreeMap::new();
    for rows in by_journey(rows).into_values() {
        let Some(anchor) = rows.iter().position(|row| row.in_window && row.satisfies[0]) else { continue };
        let mut items = vec![rows[anchor].item.as_str()];
        let others: Vec<&&Row> = match before {
            true => rows[..anchor].iter().rev().collect(),
            false => rows[anchor + 1..].iter().collect(),
        };
        items.extend(others.into_iter().map(|row| row.item.as_str()).filter(|item| *item != "NULL"));
        items.dedup();
        // where it ends nothing is next, once
        items.push("NULL");
        for (step, pair) in items.windows(2).enumerate().take(depth) {
            *counts.entry(vec![(step + 1).to_string(), pair[0].into(), pair[1].into()]).or_default() += 1;
        }
    }
    counts
}

#[test]
fn funnels_and_flows_agree_with_the_rules() {
    in_worlds(8, 77, &[(8192, 1), (5, 2), (1, 4)], async |engine, dice| {
        for _ in 0..8 {
            let visit = dice.one_in(3);
            let window = dice.one_in(3).then(|| (DAY, [4 * DAY, 31 * DAY][dice.below(2)]));
            let conditions: Vec<&str> =
                (0..1 + dice.below(4)).map(|_| PREDICATES[dice.below(PREDICATES.len())]).collect();
            let (name, group) = GROUPS[dice.below(3)];
            let rows = rows(engine, visit, window, group, &conditions).await;
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            let mut shared = format!(", container => '{}'", if visit { "visit" } else { "visitor" });
            if let Some((since, until)) = window {
                let day = |second| instant(second).format("%F").to_string();
                shared.push_str(&format!(", since => '{}', until => '{}'", day(since), day(until)));
            }

            let within = [None, Some(0), Some(1), Some(DAY), Some(30 * DAY)][dice.below(5)];
            let (at_once, broken_down) = (dice.one_in(3), dice.one_in(2));
            let steps: Vec<String> = conditions.iter().map(|condition| quoted(condition)).collect();
            let mut sql = format!("funnel(steps => [{}]{shared}", steps.join(", "));
            if let Some(within) = within {
                sql.push_str(&format!(", within => '{within} seconds'"));
            }
            sql.push_str(if at_once { ", next => 'at_once'" } else { "" });
            sql.push_str(&if broken_down { format!(", by => '{name}')") } else { ")".into() });
            let of_group = if broken_down { name } else { "'all'" };
            let sql = format!(
                "SELECT {of_group} AS of_group, step, journeys, median_seconds, share_of_first, share_of_previous FROM {sql}"
            );
            let (_, answer) = table::rows(engine, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            let mut ungrouped: Vec<Row> = rows;
            if !broken_down {
                ungrouped.iter_mut().for_each(|row| row.group = "all".into());
            }
            let rows = ungrouped;
            let expected = funnel(&rows, within.map(|seconds| seconds * 1_000_000), at_once);
            let mut found = Counts::new();
            for cells in answer {
                let (step, journeys) = (cells[1].parse().unwrap(), cells[2].parse().unwrap());
                let journeys_of = |step| expected.get(&(cells[0].clone(), step)).map_or(0, |(journeys, _)| *journeys);
                let share = |of: usize| match of {
                    0 => "NULL".to_string(),
                    of => (journeys as f64 / of as f64).to_string(),
                };
                let previous = if step == 1 { "NULL".into() } else { share(journeys_of(step - 1)) };
                if cells[4] != share(journeys_of(1)) || cells[5] != previous {
                    return Err(TestCaseError::fail(format!("{sql}\nthe shares of {cells:?}, expected {expected:?}")));
                }
                if journeys > 0 {
                    found.insert((cells[0].clone(), step), (journeys, cells[3].parse().ok()));
                }
            }
            if found != expected {
                return Err(TestCaseError::fail(format!("{sql}\nexpected {expected:?}\nactual   {found:?}")));
            }
            // what reaches a step has reached those before it
            let grows = found.iter().any(|((of_group, step), (journeys, _))| {
                *step > 1 && found.get(&(of_group.clone(), step - 1)).is_none_or(|(before, _)| before < journeys)
            });
            assert!(!grows, "{sql}\n{found:?}");

            let (before, depth) = (dice.one_in(2), 1 + dice.below(4));
            let (argument, next) = if before { ("before", "previous_item") } else { ("after", "next_item") };
            let sql = format!(
                "SELECT step, item, {next}, journeys FROM flow('tracking_code', {argument} => {}, depth => {depth}{shared})",
                quoted(conditions[0])
            );
            let (_, answer) = table::rows(engine, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            let answer: BTreeMap<Vec<String>, usize> = answer
                .into_iter()
                .map(|mut cells| (cells.split_off(3)[0].parse().unwrap(), cells))
                .map(|(n, key)| (key, n))
                .collect();
            let expected = flow(&rows, before, depth);
            if answer != expected {
                return Err(TestCaseError::fail(format!("{sql}\nexpected {expected:?}\nactual   {answer:?}")));
            }
        }
        Ok(())
    });
}
