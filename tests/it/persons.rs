//! Persons, straight from their rules: whose a row is, is found here row by row; and what the container `person` answers is
//! what the container `visitor` answers of a lake in which each person is one visitor from the beginning.
//!
//! Nothing here is shared with the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rejoin::engine::{Engine, EngineSettings};
use serde_json::Value;

use crate::place::{Place, deep};
use crate::questions::Dice;
use crate::table;

#[derive(Clone, Debug)]
struct Hit {
    visitor: usize,
    minute: usize,
    id: Option<usize>,
    code: Option<usize>,
    orders: bool,
}

/// A rule: `link`, `unlink`, `block`, `unblock`, of IDs (`true`) and visitors.
#[derive(Clone, Debug)]
struct Rule {
    verb: &'static str,
    first: (bool, usize),
    second: Option<(bool, usize)>,
}

#[derive(Clone, Debug)]
struct World {
    last: bool,
    limit: usize,
    hits: Vec<Hit>,
    rules: Vec<Rule>,
    /// Customer records: minute, ID.
    records: Vec<(usize, usize)>,
    /// Transaction records: minute, and the hit whose ID it bears.
    returns: Vec<(usize, usize)>,
    /// Returns have the date of their hit alone, right after which they stand where it is later than noon.
    dates_alone: bool,
}

fn visitor_name(visitor: usize) -> String {
    format!("v{visitor}")
}

fn id_name(id: usize) -> String {
    format!("c{id}")
}

/// `2026-09-01 00:00` and so many minutes, which are one after another and of some days.
fn instant(minute: usize) -> (usize, usize, usize) {
    let minute = minute * 97;
    (1 + minute / 1440, minute / 60 % 24, minute % 60)
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let (visitors, ids) = (2 + dice.below(5), 1 + dice.below(4));
        let count = 4 + dice.below(28);
        // each minute is one row's, so that order is never a matter of sequences
        let hits = (0..count).map(|n| Hit {
            visitor: dice.below(visitors),
            minute: 2 * n,
            id: dice.one_in(3).then(|| dice.below(ids)),
            // so that both columns exist
            code: (n == 0 || dice.one_in(2)).then(|| dice.below(4)),
            orders: n == 0 || dice.one_in(4),
        });
        let hits: Vec<Hit> = hits.collect();
        let rules = (0..dice.below(6)).map(|_| {
            let verb = ["link", "link", "unlink", "block", "unblock"][dice.below(5)];
            let subject = |dice: &mut Dice, id: bool| (id, dice.below(if id { ids } else { visitors }));
            let two = verb.ends_with("link");
            let kind = dice.one_in(2);
            let first = subject(dice, kind || !two);
            let second = two.then(|| {
                let kind = dice.one_in(2);
                subject(dice, kind)
            });
            Rule { verb, first, second }
        });
        let rules = rules.filter(|rule| rule.second != Some(rule.first)).collect();
        let record = |dice: &mut Dice| (2 * dice.below(count + 4) + 1, dice.below(ids + 1));
        let records: BTreeMap<usize, usize> = (0..dice.below(5)).map(|_| record(dice)).collect();
        let returns: BTreeMap<usize, usize> =
            (0..dice.below(4)).map(|_| (2 * dice.below(count + 4) + 1, dice.below(count))).collect();
        let returns = returns.into_iter().filter(|(minute, _)| !records.contains_key(minute)).collect();
        Self {
            last: dice.one_in(3),
            limit: 1 + dice.below(5),
            hits,
            rules,
            records: records.into_iter().collect(),
            returns,
            dates_alone: false,
        }
    }

    /// The latest of the rules about two, in either order; None where there is none.
    fn says(&self, a: (bool, usize), b: (bool, usize)) -> Option<(usize, &'static str)> {
        let about = |rule: &Rule| {
            rule.second.is_some_and(|second| (rule.first, second) == (a, b) || (rule.first, second) == (b, a))
        };
        self.rules.iter().enumerate().rfind(|(_, rule)| about(rule)).map(|(n, rule)| (n, rule.verb))
    }

    fn is_blocked(&self, id: usize) -> bool {
        let of = |rule: &&Rule| rule.second.is_none() && rule.first == (true, id);
        self.rules.iter().rfind(of).is_some_and(|rule| rule.verb == "block")
    }

    /// Those that links bring together with one, itself included.
    fn together(&self, one: (bool, usize)) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([one.1]);
        loop {
            let more: Vec<usize> = (0..10)
                .filter(|other| {
                    !(found.contains(other) || one.0 && self.is_blocked(*other))
                        && found.iter().any(|known| {
                            !(one.0 && self.is_blocked(*known))
                                && self.says((one.0, *known), (one.0, *other)).is_some_and(|(_, verb)| verb == "link")
                        })
                })
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    fn counts_on(&self, visitor: usize, id: usize) -> bool {
        !self.is_blocked(id) && self.says((false, visitor), (true, id)).is_none_or(|(_, verb)| verb != "unlink")
    }

    /// Visitors that an ID, or one linked to it, is on.
    fn visitors_of(&self, id: usize) -> BTreeSet<usize> {
        let ids: Vec<usize> = self.together((true, id)).into_iter().filter(|id| !self.is_blocked(*id)).collect();
        let bears = |visitor: usize| {
            let own = |hit: &Hit| {
                hit.visitor == visitor && hit.id.is_some_and(|id| ids.contains(&id) && self.counts_on(visitor, id))
            };
            let linked = |id: &usize| self.says((false, visitor), (true, *id)).is_some_and(|(_, verb)| verb == "link");
            self.hits.iter().any(own) || ids.iter().any(linked)
        };
        self.present().into_iter().filter(|visitor| bears(*visitor)).collect()
    }

    fn present(&self) -> BTreeSet<usize> {
        self.hits.iter().map(|hit| hit.visitor).collect()
    }

    /// The person of an ID, unless it counts as none.
    fn person_of_id(&self, id: usize) -> Option<String> {
        let counts = !self.is_blocked(id) && self.visitors_of(id).len() <= self.limit;
        counts.then(|| format!("id:{}", id_name(*self.together((true, id)).iter().next().unwrap())))
    }

    /// Whose a visitor's row of this minute is, that bears this ID.
    fn person(&self, visitor: usize, minute: usize, id: Option<usize>) -> String {
        let own = id.filter(|id| self.counts_on(visitor, *id)).and_then(|id| self.person_of_id(id));
        if let (Some(own), false) = (&own, self.last) {
            return own.clone();
        }
        let unit: BTreeSet<usize> = self.together((false, visitor)).intersection(&self.present()).copied().collect();
        let mut line: Vec<(usize, String)> = self
            .hits
            .iter()
            .filter(|hit| unit.contains(&hit.visitor))
            .filter_map(|hit| {
                let id = hit.id.filter(|id| self.counts_on(hit.visitor, *id))?;
                Some((hit.minute, self.person_of_id(id)?))
            })
            .collect();
        line.sort();
        let linked = unit
            .iter()
            .flat_map(|one| (0..10).map(move |id| (*one, id)))
            .filter_map(|(one, id)| match self.says((false, one), (true, id)) {
                Some((place, "link")) => Some((place, self.person_of_id(id)?)),
                _ => None,
            })
            .max();
        let linked = linked.map(|(_, person)| person);
        let found = if self.last {
            line.last().map(|(_, person)| person.clone()).or(linked)
        } else {
            let earlier = line.iter().rev().find(|(at, _)| *at <= minute);
            linked.or(earlier.or(line.first()).map(|(_, person)| person.clone()))
        };
        found.unwrap_or_else(|| format!("visitor:{}", visitor_name(*unit.iter().next().unwrap())))
    }

    /// Where the container visitor has a customer record: the latest visitor with its ID, else the first one after.
    fn visitor_of_record(&self, minute: usize, id: usize) -> Option<usize> {
        let mut bears = self.hits.iter().filter(|hit| hit.id == Some(id));
        let earlier = bears.clone().rfind(|hit| hit.minute < minute);
        earlier.or(bears.next()).map(|hit| hit.visitor)
    }

    /// The person of a customer record, where it has one.
    fn person_of_record(&self, minute: usize, id: usize) -> Option<String> {
        let visitor = self.visitor_of_record(minute, id)?;
        Some(self.person_of_id(id).unwrap_or_else(|| self.person(visitor, minute, None)))
    }

    /// As shell lines; `merged` has each person as one visitor.
    fn script(&self, merged: bool) -> String {
        let mut text = String::from("rejoin suite create web");
        if !merged {
            let method = if self.last { "last" } else { "device_split" };
            write!(text, " --persons {method} --person-limit {}", self.limit).unwrap();
        }
        text.push_str("\nrejoin source create web calls --kind customer --metrics event1\n");
        text.push_str("rejoin source create web returns --kind transaction --metrics event2\n");
        text.push_str(
            "online web <<END\nvisitor time visit customer_id transaction_id tracking_code orders\n"
                .replace(' ', "  ")
                .replace("online  web  <<END", "online web <<END")
                .as_str(),
        );
        let mut known = BTreeSet::new();
        for (number, hit) in self.hits.iter().enumerate() {
            let (day, hour, minute) = instant(hit.minute);
            let (visitor, id) = match merged {
                true => {
                    let person = self.person(hit.visitor, hit.minute, hit.id);
                    known.insert(person.clone());
                    (person.clone(), person)
                }
                false => (visitor_name(hit.visitor), hit.id.map_or(".".into(), id_name)),
            };
            let visit = hit.visitor * 100 + day;
            let code = hit.code.map_or(".".into(), |code| format!("t{code}"));
            let orders = if hit.orders { "1" } else { "." };
            writeln!(
                text,
                "{visitor}  2026-09-{day:02} {hour:02}:{minute:02}  {visit}  {id}  T{number}  {code}  {orders}"
            )
            .unwrap();
        }
        let bearers: Vec<(usize, Option<String>)> = self
            .records
            .iter()
            .map(|(minute, id)| {
                (*minute, if merged { self.person_of_record(*minute, *id) } else { Some(id_name(*id)) })
            })
            .collect();
        if merged {
            // a person without a hit has a record all the same: a hit that says nothing stands for it
            for (_, person) in &bearers {
                if let Some(person) = person.as_ref().filter(|person| known.insert((*person).clone())) {
                    writeln!(text, "{person}  2026-08-01 00:00  1  {person}  .  .  .").unwrap();
                }
            }
        }
        text.push_str("END\n");
        if !bearers.is_empty() {
            text.push_str("offline calls <<END\nDate  VisitorID  Event 1\n");
            for (number, (minute, id)) in bearers.iter().enumerate() {
                let (day, hour, minute) = instant(*minute);
                let id = id.as_deref().unwrap_or("nobody");
                writeln!(text, "09/{day:02}/2026/{hour:02}/{minute:02}/00  {id}  {}", 1 << number).unwrap();
            }
            text.push_str("END\nrejoin ingest calls.txt --suite web --source calls\n");
        }
        if !self.returns.is_empty() {
            text.push_str("offline returns <<END\nDate  transactionID  Event 2\n");
            for (number, (minute, hit)) in self.returns.iter().enumerate() {
                let (day, hour, minute) = instant(if self.dates_alone { self.hits[*hit].minute } else { *minute });
                let time = if self.dates_alone { String::new() } else { format!("/{hour:02}/{minute:02}/00") };
                writeln!(text, "09/{day:02}/2026{time}  T{hit}  {}", 1 << number).unwrap();
            }
            text.push_str("END\nrejoin ingest returns.txt --suite web --source returns\n");
        }
        if !merged {
            for Rule { verb, first, second } in &self.rules {
                let name = |(id, n): (bool, usize)| {
                    if id { format!("id:{}", id_name(n)) } else { format!("visitor:{}", visitor_name(n)) }
                };
                let second = second.map_or(String::new(), |second| format!(" {}", name(second)));
                writeln!(text, "rejoin person {verb} {}{second}", name(*first)).unwrap();
            }
        }
        text.push_str("rejoin rebuild\n");
        text
    }
}

/// Questions, with `$` for the container.
fn questions(world: &World, dice: &mut Dice) -> Vec<String> {
    let metrics = [(true, "orders"), (!world.records.is_empty(), "event1"), (!world.returns.is_empty(), "event2")];
    let metrics: Vec<&str> = metrics.into_iter().filter(|(exists, _)| *exists).map(|(_, metric)| metric).collect();
    let metric = metrics[dice.below(metrics.len())];
    let model =
        ["first_touch", "last_touch", "linear", "u_shaped", "time_decay", "same_touch", "markov", "algorithmic"]
            [dice.below(8)];
    let lookback = ["all", "30 days", "1 day", "3 hours"][dice.below(4)];
    let mut more = String::new();
    let predicates =
        ["tracking_code = 't1'", "orders > 0", "row_kind <> 'customer'", "visit_num IS NOT NULL", "orders IS NULL"];
    let whole = model == "markov" || model == "algorithmic";
    for name in ["touches", "conversions", "visitors"] {
        if dice.one_in(4) {
            let predicate = predicates[dice.below(5)].replace('\'', "''");
            write!(more, ", {name} => '{predicate}'").unwrap();
        }
    }
    if !whole && dice.one_in(3) {
        more.push_str(", last_touches => 2");
    }
    if !whole && dice.one_in(3) {
        more.push_str(", repeats => 'collapse'");
    }
    let basis = if dice.one_in(3) { "snapshot" } else { "event" };
    let asked =
        format!("'{metric}', 'tracking_code', container => '$', lookback => '{lookback}', basis => '{basis}'{more}");
    let by = if !whole && dice.one_in(2) { ", by => 'day'" } else { "" };
    let groups = if by.is_empty() { "" } else { "day, " };
    vec![
        format!("SELECT {groups}item, round(credit, 9) FROM attribution({asked}{by}, model => '{model}')"),
        format!("SELECT {groups}item, round(credit, 9) FROM participation({asked}{by})"),
        format!("SELECT {groups}hit_time, value, touches, first_item, last_time FROM conversions({asked}{by})"),
        format!("SELECT time, item, round(credit, 9) FROM credits({asked}, models => 'linear')"),
        format!("SELECT array_to_string(path, '>', '-'), conversions, value, journeys FROM paths({asked})"),
        "SELECT * FROM funnel(steps => ['tracking_code = ''t1''', 'orders > 0', 'row_kind <> ''online'''], container => '$', within => '2 days')".into(),
        "SELECT * FROM flow('tracking_code', after => 'tracking_code = ''t1''', depth => 3, container => '$')".into(),
        format!(
            "SELECT item, round(sum(c), 9) FROM (SELECT touch(tracking_code) AS item, \
             visitor_attribution(tracking_code, {metric}, 'linear', '{lookback}') OVER (PARTITION BY $_id ORDER BY hit_time) AS c \
             FROM events) WHERE c <> 0 GROUP BY 1"
        ),
    ]
}

async fn answer(engine: &Engine, sql: &str) -> Vec<String> {
    let (_, rows) = table::rows(engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.join(" ")).filter(|row| !row.ends_with(" 0")).collect();
    rows.sort();
    rows
}

#[test]
fn persons_are_as_their_rules_say_and_answer_like_visitors() {
    let worlds = std::env::var("REJOIN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let mut dice = Dice(17);
    for number in 0..worlds {
        let world = World::new(&mut dice);
        let (place, merged) = (Place::new(), Place::new());
        place.sh(&world.script(false));
        merged.sh(&world.script(true));
        let questions: Vec<String> = (0..3).flat_map(|_| questions(&world, &mut dice)).collect();
        let settings = EngineSettings {
            threads: Some([1, 2, 4][number % 3]),
            batch_size: Some([1, 7, 8192][number / 3 % 3]),
            ..EngineSettings::default()
        };
        deep(|runtime| {
            runtime.block_on(async {
                let engine = Engine::open(place.open_lake(), settings.clone()).await.unwrap();
                let other = Engine::open(merged.open_lake(), settings.clone()).await.unwrap();
                rows_are_whose_they_should_be(&engine, &world).await;
                let ranges = [1, 3, 16, 64][number % 4];
                engine.collect(&format!("SET rejoin.ranges = {ranges}")).await.unwrap();
                for (turn, question) in questions.iter().enumerate() {
                    let ways = ["stored", "plain"][turn % 2];
                    engine.collect(&format!("SET rejoin.journeys = '{ways}'")).await.unwrap();
                    let asked = answer(&engine, &question.replace('$', "person")).await;
                    let expected = answer(&other, &question.replace('$', "visitor")).await;
                    assert_eq!(asked, expected, "{question}\n{world:?}\n{}", world.script(true));
                }
            });
        });
        others_stay_when_one_is_forgotten(&place, &world, &mut dice);
    }
}

/// Hits of several devices in one instant, logins among them, and records that stand at them: the walk, which looks up the order of
/// such hits alone, answers as the SQL does, which sorts all rows, and as the window functions do.
#[test]
fn hits_of_one_instant_have_one_order_on_all_devices() {
    let worlds = std::env::var("REJOIN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let mut dice = Dice(1717);
    for number in 0..worlds {
        let mut world = World::new(&mut dice);
        let instants = [4, 10, 60][number % 3];
        world.hits.iter_mut().for_each(|hit| hit.minute -= hit.minute % instants);
        world.dates_alone = number % 2 == 0;
        let place = Place::new();
        place.sh(&world.script(false));
        let questions: Vec<String> = (0..4).flat_map(|_| questions(&world, &mut dice).into_iter().take(5)).collect();
        let settings = EngineSettings {
            threads: Some([1, 2, 4][number % 3]),
            batch_size: Some([1, 3, 8192][number / 3 % 3]),
            ..EngineSettings::default()
        };
        deep(|runtime| {
            runtime.block_on(async {
                let engine = Engine::open(place.open_lake(), settings).await.unwrap();
                let ranges = [1, 3, 16, 64][number % 4];
                engine.collect(&format!("SET rejoin.ranges = {ranges}")).await.unwrap();
                for question in questions.iter().map(|question| question.replace('$', "person")) {
                    let mut answers = vec![];
                    for way in ["stored", "plain"] {
                        engine.collect(&format!("SET rejoin.journeys = '{way}'")).await.unwrap();
                        answers.push(answer(&engine, &question).await);
                    }
                    assert_eq!(answers[0], answers[1], "{question}\n{}", world.script(false));
                }
                let metrics = [Some("orders"), (!world.returns.is_empty()).then_some("event2")];
                for metric in metrics.into_iter().flatten() {
                    for model in ["first_touch", "last_touch"] {
                        let function = format!(
                            "SELECT item, round(credit, 9) FROM attribution('{metric}', 'tracking_code', '{model}', 'person', 'all')"
                        );
                        let window = format!(
                            "SELECT item, round(sum(c), 9) FROM (SELECT touch(tracking_code) AS item, \
                             visitor_attribution(tracking_code, {metric}, '{model}', 'all') OVER (PARTITION BY person_id ORDER BY hit_time) AS c \
                             FROM events) WHERE c <> 0 GROUP BY 1"
                        );
                        let answers = [answer(&engine, &function).await, answer(&engine, &window).await];
                        assert_eq!(answers[0], answers[1], "{function}\n{}", world.script(false));
                    }
                }
            });
        });
    }
}

/// A person is forgotten: of one with an ID the rows that bear it go, of another all; rows without an ID are nobody else's
/// then, other rows stay whose they are, and the person does not come back.
fn others_stay_when_one_is_forgotten(place: &Place, world: &World, dice: &mut Dice) {
    let whose = |hit: &Hit| world.person(hit.visitor, hit.minute, hit.id);
    let person = whose(&world.hits[dice.below(world.hits.len())]);
    let bears = |hit: &Hit| hit.id.and_then(|id| world.person_of_id(id)).is_some_and(|of| of == person);
    let goes = |hit: &Hit| bears(hit) || whose(hit) == person && !person.starts_with("id:");
    let left: Vec<&Hit> = world.hits.iter().filter(|hit| !goes(hit)).collect();
    let refuses = world.hits.iter().filter_map(|hit| hit.id).any(|id| world.person_of_id(id).is_none());
    // whose rows without an ID stay is a visitor; a row with another ID, which `last` gave to the person, may be anybody else's
    let then = |hit: &Hit| match hit.id {
        _ if whose(hit) != person => whose(hit),
        Some(_) => "somebody".to_string(),
        None => "visitor:".to_string(),
    };
    let left: BTreeMap<String, String> = left.into_iter().map(|hit| (time_of(hit.minute), then(hit))).collect();
    place.rejoin(&format!("forget --person {person} --yes")).ok();
    for command in ["rebuild", "rebuild --full"] {
        place.rejoin(command).ok();
        let sql = "SELECT CAST(hit_time AS VARCHAR) AS seen, person_id FROM events WHERE row_kind = 'online'";
        let rows = place.query(sql);
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_string();
        let mut seen: BTreeMap<String, String> =
            rows.as_array().unwrap().iter().map(|row| (text(row, "seen"), text(row, "person_id"))).collect();
        for (time, whose) in &mut seen {
            match left.get(time).map(String::as_str) {
                Some("visitor:") if whose.starts_with("visitor:") => *whose = "visitor:".into(),
                Some("somebody") if *whose != person => *whose = "somebody".into(),
                _ => {}
            }
        }
        if refuses {
            // an ID that is on fewer visitors now may stand for somebody again
            assert!(seen.keys().eq(left.keys()), "{person}, {command}\n{world:?}");
        } else {
            assert_eq!(seen, left, "{person}, {command}\n{world:?}");
        }
        let back = format!("SELECT count(*) AS n FROM events WHERE person_id = '{person}'");
        assert_eq!(place.cell(&back), 0, "{person}, {command}\n{world:?}");
    }
}

/// As the lake writes the time of a row.
fn time_of(minute: usize) -> String {
    let (day, hour, minute) = instant(minute);
    format!("2026-09-{day:02}T{hour:02}:{minute:02}:00Z")
}

/// Each row's person, from the rules.
async fn rows_are_whose_they_should_be(engine: &Engine, world: &World) {
    let sql = "SELECT row_kind, CAST(hit_time AS VARCHAR), person_id FROM events";
    let found: BTreeSet<String> = answer(engine, sql).await.into_iter().collect();
    let hits = world.hits.iter().map(|hit| ("online", hit.minute, Some(world.person(hit.visitor, hit.minute, hit.id))));
    let records = world.records.iter().map(|(minute, id)| ("customer", *minute, world.person_of_record(*minute, *id)));
    let returns = world.returns.iter().map(|(minute, hit)| {
        let hit = &world.hits[*hit];
        ("transaction", *minute, Some(world.person(hit.visitor, hit.minute, hit.id)))
    });
    let expected: BTreeSet<String> = hits
        .chain(records)
        .chain(returns)
        .map(|(kind, minute, person)| format!("{kind} {} {}", time_of(minute), person.unwrap_or_else(|| "NULL".into())))
        .collect();
    assert_eq!(found, expected, "{world:?}");
}
