//! Whose the rows of visitors are, from when to when.
//!
//! A row with a customer ID is that ID's. A row without one is, on its visitor, of the nearest ID before it, else of the first
//! one after it; under `last` the visitor's latest ID takes all its rows. A visitor without an ID is a person of its own.
//! Memory: the IDs of one suite's visitors, where they change, and the spans.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::forgotten::Between;
use super::moment::Moment;
use super::rules::Rules;
use super::subject::Subject;

/// The customer IDs that a visitor's rows bear.
#[derive(Clone, Debug)]
pub struct Borne {
    /// The visitor.
    pub visitor: Arc<str>,
    /// Where the ID becomes another one, in order; of visitors that rules name, every row with an ID.
    pub ids: Vec<(Moment, Arc<str>)>,
}

/// Whose a row without an ID is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Of the nearest ID before it, else of the first one after it.
    DeviceSplit,
    /// Of the visitor's latest ID, as all of its rows.
    Last,
}

impl Method {
    /// The words, in the order of the variants.
    pub const NAMES: [&str; 2] = ["device_split", "last"];
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::DeviceSplit, Self::Last].into_iter().find(|method| method.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is no way to find persons; it is one of off, {}", Self::NAMES.join(", ")))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// Rows of a visitor that are one person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The visitor.
    pub visitor: Arc<str>,
    /// The first place that is in it; None from ever.
    pub from: Option<Moment>,
    /// The first place that is no longer in it; None for ever.
    pub until: Option<Moment>,
    /// The person.
    pub person: Arc<str>,
    /// What says so: `id`, `linked id`, `linked visitor` or `no id`.
    pub why: &'static str,
    /// The visitor's rows and the person's are not the same rows, for this or another person of the visitor.
    pub shared: bool,
}

/// What became of a customer ID that is not simply a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The customer ID.
    pub id: Arc<str>,
    /// `limit`: on too many visitors; `blocked`: by a rule; `linked`: by a rule, it is another ID's person.
    pub verdict: &'static str,
    /// The person whose rows it bears; None where it counts as no ID.
    pub person: Option<Arc<str>>,
    /// Visitors that it, or an ID that it is linked to, is on.
    pub visitors: usize,
}

/// The persons of a suite.
#[derive(Debug, Default)]
pub struct Found {
    /// Spans of the visitors that bear an ID or that a rule names, visitor by visitor, in order of time.
    pub spans: Vec<Span>,
    /// What became of some IDs, in their order.
    pub audit: Vec<Audit>,
}

/// The persons of a suite. An ID on more than `limit` visitors counts as none. `borne` are the visitors that bear IDs, and
/// those with rows that rules name.
pub fn persons(method: Method, limit: usize, rules: &Rules, borne: &[Borne]) -> Found {
    let ids = Ids::new(limit, rules, borne);
    let (units, mut spans) = (units(rules, borne), vec![]);
    for unit in &units {
        Unit::new(unit, rules, &ids).add_spans(method, &ids, &mut spans);
    }
    mark_shared(&mut spans, units.iter().flatten().copied(), &ids);
    Found { spans, audit: ids.audit(borne) }
}

/// What the customer IDs of a suite stand for.
struct Ids<'a> {
    rules: &'a Rules,
    /// What linked IDs are called.
    names: HashMap<&'a str, &'a str>,
    /// Visitors of each ID, by its name.
    visitors: HashMap<&'a str, usize>,
    /// What the person of each is called, written once.
    persons: HashMap<&'a str, Arc<str>>,
    /// IDs to which rules link a visitor, each with its rule's place among all.
    linked: HashMap<&'a str, Vec<(usize, &'a str)>>,
    limit: usize,
}

impl<'a> Ids<'a> {
    fn new(limit: usize, rules: &'a Rules, borne: &'a [Borne]) -> Self {
        let mut linked: HashMap<&str, Vec<(usize, &'a str)>> = HashMap::new();
        for (place, (visitor, id)) in rules.linked().into_iter().enumerate() {
            linked.entry(visitor).or_default().push((place, id));
        }
        let (names, visitors, persons) = (rules.names_of_ids(), HashMap::new(), HashMap::new());
        let mut ids = Self { rules, names, visitors, persons, linked, limit };
        for Borne { visitor, ids: own } in borne {
            let of_rules = ids.linked.get(&**visitor).into_iter().flatten().map(|(_, id)| *id);
            let own = own.iter().map(|(_, id)| &**id).filter(|id| !rules.is_unlinked(visitor, id));
            let counted: BTreeSet<&str> =
                own.chain(of_rules).filter(|id| !rules.blocked.contains(*id)).map(|id| ids.name(id)).collect();
            for name in counted {
                *ids.visitors.entry(name).or_default() += 1;
            }
        }
        ids.persons = ids.visitors.keys().map(|name| (*name, person_of_id(name))).collect();
        ids
    }

    /// What the person of an ID of this name is called.
    fn person(&self, name: &str) -> Arc<str> {
        self.persons.get(name).cloned().unwrap_or_else(|| person_of_id(name))
    }

    fn name(&self, id: &'a str) -> &'a str {
        self.names.get(id).copied().unwrap_or(id)
    }

    fn is_refused(&self, name: &str) -> bool {
        self.visitors.get(name).is_some_and(|visitors| *visitors > self.limit)
    }

    /// The name of an ID; None where it counts as no ID.
    fn of(&self, id: &'a str) -> Option<&'a str> {
        let name = self.name(id);
        (!self.rules.blocked.contains(id) && !self.is_refused(name)).then_some(name)
    }

    fn audit(&self, borne: &[Borne]) -> Vec<Audit> {
        let mut on: HashMap<&str, usize> = HashMap::new();
        for Borne { ids, .. } in borne {
            for id in
                ids.iter().map(|(_, id)| &**id).filter(|id| self.rules.blocked.contains(*id)).collect::<HashSet<_>>()
            {
                *on.entry(id).or_default() += 1;
            }
        }
        let audit = |id: &str, verdict, name: Option<&str>, visitors| Audit {
            id: id.into(),
            verdict,
            person: name.map(person_of_id),
            visitors,
        };
        let blocked = self.rules.blocked.iter();
        let mut all: Vec<Audit> =
            blocked.map(|id| audit(id, "blocked", None, on.get(id.as_str()).copied().unwrap_or_default())).collect();
        let linked = self.names.iter().map(|(id, name)| (*id, *name));
        let others = self.visitors.keys().filter(|name| !self.names.contains_key(*name)).map(|name| (*name, *name));
        for (id, name) in linked.chain(others) {
            let visitors = self.visitors.get(name).copied().unwrap_or_default();
            if self.is_refused(name) {
                all.push(audit(id, "limit", None, visitors));
            } else if id != name {
                all.push(audit(id, "linked", Some(name), visitors));
            }
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}

fn person_of_id(name: &str) -> Arc<str> {
    Subject::Id(name.to_string()).to_string().into()
}

/// Visitors with one time line for rows without ID: those that rules link, and each other one alone.
fn units<'a>(rules: &Rules, borne: &'a [Borne]) -> Vec<Vec<&'a Borne>> {
    let groups = rules.groups_of_visitors();
    let mut linked: HashMap<&str, Vec<&Borne>> = HashMap::new();
    let mut units = vec![];
    for one in borne {
        match groups.get(&*one.visitor) {
            Some(group) => linked.entry(group).or_default().push(one),
            None => units.push(vec![one]),
        }
    }
    units.extend(linked.into_values());
    for unit in &mut units {
        unit.sort_by(|a, b| a.visitor.cmp(&b.visitor));
    }
    // most differ in their first bytes, which need no look at the text
    let mut ordered: Vec<_> = units.into_iter().map(|unit| (beginning(&unit[0].visitor), unit)).collect();
    ordered.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one[0].visitor.cmp(&other[0].visitor)));
    ordered.into_iter().map(|(_, unit)| unit).collect()
}

/// The first bytes of a text as a number, in the order of texts.
fn beginning(text: &str) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(bytes.len());
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    u64::from_be_bytes(bytes)
}

/// Visitors with one time line.
struct Unit<'a> {
    rules: &'a Rules,
    members: &'a [&'a Borne],
    /// Places where a row bears an ID: place, number of the member, name of the ID.
    line: Vec<(Moment, usize, &'a str)>,
    /// The ID to which the latest rule links one of them.
    linked: Option<&'a str>,
}

impl<'a> Unit<'a> {
    fn new(members: &'a [&'a Borne], rules: &'a Rules, ids: &Ids<'a>) -> Self {
        let mut line = vec![];
        for (number, Borne { visitor, ids: own }) in members.iter().enumerate() {
            let counted = own.iter().filter(|(_, id)| !rules.is_unlinked(visitor, id));
            line.extend(counted.filter_map(|(moment, id)| Some((*moment, number, ids.of(id)?))));
        }
        line.sort();
        let linked = members.iter().filter_map(|member| ids.linked.get(&*member.visitor)).flatten();
        let linked = linked.filter_map(|(place, id)| Some((*place, ids.of(id)?))).max();
        Self { rules, members, line, linked: linked.map(|(_, name)| name) }
    }

    fn add_spans(&self, method: Method, ids: &Ids<'_>, spans: &mut Vec<Span>) {
        for (number, member) in self.members.iter().enumerate() {
            let mut own = Changes(vec![]);
            match (method, self.linked, self.line.as_slice()) {
                (Method::Last, _, [.., (_, of, name)]) => own.add(None, ids.person(name), why(*of, number)),
                (Method::DeviceSplit, Some(linked), line) => {
                    let linked = ids.person(linked);
                    own.add(None, linked.clone(), "linked id");
                    for (moment, _, name) in line.iter().filter(|(_, of, _)| *of == number) {
                        own.add(Some(*moment), ids.person(name), "id");
                        own.add(Some((moment.0, moment.1 + 1)), linked.clone(), "linked id");
                    }
                }
                (Method::DeviceSplit, None, [(_, of, name), ..]) => {
                    own.add(None, ids.person(name), why(*of, number));
                    let mut line: Vec<_> = self.line.iter().collect();
                    // at one place the row's own ID holds
                    line.sort_by_key(|(moment, of, _)| (*moment, *of == number));
                    for (moment, of, name) in line {
                        own.add(Some(*moment), ids.person(name), why(*of, number));
                    }
                }
                (Method::Last, Some(linked), []) => own.add(None, ids.person(linked), "linked id"),
                (_, None, []) => {
                    let (person, why) = self.without_id(number);
                    own.add(None, person, why);
                }
            }
            let forgotten = self.rules.forgotten(&member.visitor);
            if !forgotten.is_empty() {
                own = self.without_forgotten(own, number, forgotten);
            }
            own.into_spans(&member.visitor, spans);
        }
    }

    /// Who a member is, of whom no ID says it.
    fn without_id(&self, number: usize) -> (Arc<str>, &'static str) {
        let first = Subject::Visitor(self.members[0].visitor.to_string());
        (first.to_string().into(), if number == 0 { "no id" } else { "linked visitor" })
    }

    /// The same, but rows without an ID that a forgotten person had are the visitor's.
    fn without_forgotten(&self, all: Changes, number: usize, forgotten: &[Between]) -> Changes {
        let borne: BTreeSet<Moment> =
            self.line.iter().filter(|(_, of, _)| *of == number).map(|(moment, ..)| *moment).collect();
        let after = borne.iter().map(|(time, sequence)| (*time, sequence.saturating_add(1)));
        let bounds = forgotten.iter().flat_map(|between| [between.from, between.until]).flatten();
        let places: BTreeSet<Option<Moment>> = borne
            .iter()
            .copied()
            .chain(after)
            .chain(bounds)
            .map(Some)
            .chain(all.0.iter().map(|(from, ..)| *from))
            .chain([None])
            .collect();
        let mut own = Changes(vec![]);
        for place in places {
            let at = place.unwrap_or((i64::MIN, i128::MIN));
            let known = all.0.partition_point(|(from, ..)| *from <= place);
            let Some((_, person, why)) = known.checked_sub(1).map(|known| &all.0[known]) else { continue };
            if !borne.contains(&at) && forgotten.iter().any(|between| between.holds(at)) {
                let (person, why) = self.without_id(number);
                own.add(place, person, why);
            } else {
                own.add(place, person.clone(), why);
            }
        }
        own
    }
}

/// What says whose rows are, that a row of the member `of` bears: for the member `number`.
fn why(of: usize, number: usize) -> &'static str {
    if of == number { "id" } else { "linked visitor" }
}

/// Where the person of a visitor's rows becomes another one.
struct Changes(Vec<(Option<Moment>, Arc<str>, &'static str)>);

impl Changes {
    fn add(&mut self, from: Option<Moment>, person: Arc<str>, why: &'static str) {
        if self.0.last().is_some_and(|(last, ..)| *last == from) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|(_, last, _)| *last != person) {
            self.0.push((from, person, why));
        }
    }

    fn into_spans(self, visitor: &Arc<str>, spans: &mut Vec<Span>) {
        let untils: Vec<Option<Moment>> = self.0.iter().skip(1).map(|(from, ..)| *from).chain([None]).collect();
        for ((from, person, why), until) in self.0.into_iter().zip(untils) {
            spans.push(Span { visitor: visitor.clone(), from, until, person, why, shared: false });
        }
    }
}

/// Marks the visitors whose rows are not exactly those of one person, records of customers included. `borne` are the visitors in
/// the order of their spans.
fn mark_shared<'a>(spans: &mut [Span], borne: impl Iterator<Item = &'a Borne>, ids: &Ids<'a>) {
    // persons by number, and of each how many visitors have it
    let (mut numbers, mut visitors): (HashMap<Arc<str>, usize>, Vec<usize>) = (HashMap::new(), vec![]);
    // of each visitor, where its persons end, and where its spans do
    let (mut persons, mut ends): (Vec<usize>, Vec<(usize, usize)>) = (vec![], vec![]);
    let (mut own, mut last) = (vec![], 0);
    for Borne { visitor, ids: borne } in borne {
        let first = last;
        last += spans[first..].iter().take_while(|span| Arc::ptr_eq(&span.visitor, visitor)).count();
        // a record with an ID may stand on each visitor that bears it, also where the ID counts for none of the visitor's rows
        let borne = borne.iter().filter_map(|(_, id)| Some(ids.person(ids.of(id)?)));
        for person in spans[first..last].iter().map(|span| span.person.clone()).chain(borne) {
            let next = numbers.len();
            own.push(*numbers.entry(person).or_insert(next));
        }
        own.sort_unstable();
        own.dedup();
        visitors.resize(numbers.len(), 0);
        own.iter().for_each(|person| visitors[*person] += 1);
        persons.append(&mut own);
        ends.push((persons.len(), last));
    }
    let mut from = (0, 0);
    for (persons_end, spans_end) in ends {
        let own = &persons[from.0..persons_end];
        let shared = own.len() > 1 || own.iter().any(|person| visitors[*person] > 1);
        spans[from.1..spans_end].iter_mut().for_each(|span| span.shared = shared);
        from = (persons_end, spans_end);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::rules::{Rule, Verb};
    use super::*;

    /// Visitors with the IDs of their rows, `-` for none: a row each second.
    fn borne(visitors: &[(&str, &str)]) -> Vec<Borne> {
        let of = |(visitor, rows): &(&str, &str)| {
            let ids = rows.split(' ').enumerate().filter(|(_, id)| *id != "-");
            Borne { visitor: (*visitor).into(), ids: ids.map(|(n, id)| ((n as i64, 0), id.into())).collect() }
        };
        visitors.iter().map(of).collect()
    }

    fn rules(lines: &[&str]) -> Rules {
        let rule = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let verb: Verb = words[0].parse().unwrap();
            Rule::new(verb, words[1].parse().unwrap(), words.get(2).map(|word| word.parse().unwrap())).unwrap()
        };
        Rules::new(&lines.iter().map(rule).collect::<Vec<_>>())
    }

    /// The persons of a visitor's rows 0 to `rows`, without `id:`.
    fn persons_of(found: &Found, visitor: &str, rows: i64) -> String {
        let person = |n: i64| {
            let at = (n, 0);
            let mut holds = found.spans.iter().filter(|s| {
                &*s.visitor == visitor && s.from.is_none_or(|from| from <= at) && s.until.is_none_or(|until| at < until)
            });
            let (one, other) = (holds.next().unwrap(), holds.next());
            assert!(other.is_none(), "{found:?}");
            one.person.strip_prefix("id:").unwrap_or(&one.person).to_string()
        };
        (0..rows).map(person).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_shared_device() {
        let rows = borne(&[("d", "- - ryan - cassidy -")]);
        let split = persons(Method::DeviceSplit, 20, &Rules::default(), &rows);
        assert_eq!(persons_of(&split, "d", 6), "ryan ryan ryan ryan cassidy cassidy");
        let last = persons(Method::Last, 20, &Rules::default(), &rows);
        assert_eq!(persons_of(&last, "d", 6), ["cassidy"; 6].join(" "));
        assert!(split.spans.iter().chain(&last.spans).all(|span| span.shared));
    }

    #[test]
    fn three_devices() {
        let rows = borne(&[("246", "- Bob Bob - Bob - Bob"), ("81911", "- Bob -"), ("x", "- eve")]);
        let found = persons(Method::DeviceSplit, 20, &Rules::default(), &rows);
        let shared: Vec<_> = found.spans.iter().map(|s| (&*s.visitor, &*s.person, s.shared)).collect();
        assert_eq!(shared, [("246", "id:Bob", true), ("81911", "id:Bob", true), ("x", "id:eve", false)]);
    }

    #[test]
    fn a_limit_refuses_an_id_and_drops_nothing() {
        let rows = borne(&[("a", "pc - ann"), ("b", "- pc"), ("c", "pc"), ("d", "ann")]);
        let found = persons(Method::DeviceSplit, 2, &Rules::default(), &rows);
        assert_eq!(persons_of(&found, "a", 3), "ann ann ann");
        assert_eq!(persons_of(&found, "b", 2), "visitor:b visitor:b");
        assert_eq!(found.audit, [Audit { id: "pc".into(), verdict: "limit", person: None, visitors: 3 }]);
        // IDs that rules link are one, and so is what they are on
        let linked = persons(Method::DeviceSplit, 3, &rules(&["link id:pc id:ann"]), &rows);
        assert_eq!(
            linked.audit.iter().map(|a| (&*a.id, a.verdict, a.visitors)).collect::<Vec<_>>(),
            [("ann", "limit", 4), ("pc", "limit", 4)]
        );
    }

    #[test]
    fn rules_link_unlink_and_block() {
        let rows = borne(&[("a", "- x - y -"), ("b", "- z -"), ("c", "-")]);
        let of = |lines: &[&str], visitor: &str, count| {
            persons_of(&persons(Method::DeviceSplit, 20, &rules(lines), &rows), visitor, count)
        };
        assert_eq!(of(&["block id:x"], "a", 5), "y y y y y");
        assert_eq!(of(&["unlink visitor:a id:y"], "a", 5), "x x x x x");
        assert_eq!(of(&["link id:z id:y"], "b", 3), "y y y");
        assert_eq!(of(&["link visitor:c id:z"], "c", 1), "z");
        // rows with an ID keep it
        assert_eq!(of(&["link visitor:a id:z"], "a", 5), "z x z y z");
        // one time line for rows without ID: z of the other visitor at 1 stands behind x, then y
        assert_eq!(of(&["link visitor:a visitor:b"], "b", 3), "x z z");
        assert_eq!(of(&["link visitor:a visitor:c"], "c", 1), "x");
        assert_eq!(of(&["link visitor:c visitor:nobody"], "c", 1), "visitor:c");
        assert_eq!(of(&["block id:x", "unblock id:x"], "a", 5), "x x x y y");
    }

    #[test]
    fn what_a_forgotten_person_had_is_the_visitors() {
        let between = |from: Option<i64>, until: Option<i64>| Between {
            from: from.map(|time| (time, 0)),
            until: until.map(|time| (time, 0)),
        };
        let of = |method, rows: &str, forgotten: &[Between], count| {
            let forgotten = forgotten.iter().map(|between| ("d".to_string(), *between)).collect();
            let rules = Rules::default().forgetting(forgotten);
            persons_of(&persons(method, 20, &rules, &borne(&[("d", rows)])), "d", count)
        };
        // ryan was forgotten: what stood before and after his row is no one else's, but what bears an ID
        assert_eq!(
            of(Method::DeviceSplit, "- - - - cassidy -", &[between(None, Some(4))], 6),
            "visitor:d visitor:d visitor:d visitor:d cassidy cassidy"
        );
        assert_eq!(
            of(Method::DeviceSplit, "- - eve - cassidy -", &[between(None, Some(4))], 6),
            "visitor:d visitor:d eve visitor:d cassidy cassidy"
        );
        // cassidy was
        assert_eq!(
            of(Method::DeviceSplit, "- - ryan - - -", &[between(Some(4), None)], 6),
            "ryan ryan ryan ryan visitor:d visitor:d"
        );
        assert_eq!(
            of(Method::Last, "- - ryan - - -", &[between(None, None)], 6),
            "visitor:d visitor:d ryan visitor:d visitor:d visitor:d"
        );
        assert_eq!(of(Method::DeviceSplit, "- -", &[between(None, None)], 2), "visitor:d visitor:d");
    }

    #[test]
    fn what_a_record_may_be_tied_to_is_shared() {
        let rows = borne(&[("a", "x")]);
        let found = persons(Method::DeviceSplit, 20, &rules(&["unlink visitor:a id:x"]), &rows);
        assert_eq!(persons_of(&found, "a", 1), "visitor:a");
        assert!(found.spans[0].shared);
    }
}
