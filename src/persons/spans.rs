//! Whose the rows of visitors are, from when to when.
//!
//! A row with a customer ID is that ID's. A row without one is, on its visitor, of the nearest ID before it, else of the first
//! one after it; under `last` the visitor's latest ID takes all its rows. A visitor without an ID is a person of its own.
//! Memory: the IDs of one suite's visitors, where they change, and the spans.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::forgotten::Between;
use super::moment::Moment;
use super::rules::Rules;
use super::subject::Subject;

/// The customer IDs that a visitor's rows bear.
#[derive(Clone, Debug)]
pub struct VisitorIds {
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
pub struct SpansAndAudit {
    /// Spans of the visitors that bear an ID or that a rule names, visitor by visitor, in order of time.
    pub spans: Vec<Span>,
    /// What became of some IDs, in their order.
    pub audit: Vec<Audit>,
}

/// The persons of a suite. An ID on more than `limit` visitors counts as none. `borne` are the visitors that bear IDs, and
/// those with rows that rules name.
pub fn persons(method: Method, limit: usize, rules: &Rules, borne: &[VisitorIds]) -> SpansAndAudit {
    let ids = Ids::new(limit, rules, borne);
    let (units, mut spans, mut owners) = (units(rules, borne), Vec::with_capacity(borne.len()), Owners::default());
    for (number, members) in units.iter().enumerate() {
        VisitorGroup::new(members, ids.all.len() + number, rules, &ids).add_spans(method, &mut spans, &mut owners);
    }
    owners.mark_shared(&mut spans, ids.all.len() + units.len());
    SpansAndAudit { spans, audit: ids.audit() }
}

/// The customer IDs of a suite, by number, and what they stand for. The number of an ID is its person's, too; those of visitors
/// without an ID follow. Texts, which are here and there in memory, are looked at once.
struct Ids<'a> {
    all: Vec<Id<'a>>,
    /// The ID of each place with an ID, one visitor after the other.
    of_places: Vec<usize>,
    /// IDs to which rules link a visitor, each with its rule's place among all.
    linked: HashMap<&'a str, Vec<(usize, usize)>>,
    limit: usize,
}

/// A customer ID.
struct Id<'a> {
    text: &'a str,
    /// The ID by whose name it goes: of linked ones the first, else itself.
    name: usize,
    is_blocked: bool,
    /// Visitors on whom it counts, or an ID that goes by its name; of a blocked one, those that bear it.
    visitors: usize,
    /// The last of these, by its place among all visitors.
    last_visitor: Option<usize>,
    /// What its person is called, written once.
    person: Arc<str>,
}

/// Numbers IDs, of all hits and rules.
struct IdNumbers<'a> {
    rules: &'a Rules,
    /// What linked IDs are called.
    names: HashMap<&'a str, &'a str>,
    known: HashMap<&'a str, usize>,
    all: Vec<Id<'a>>,
}

impl<'a> IdNumbers<'a> {
    fn of(&mut self, text: &'a str) -> usize {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let number = self.all.len();
        self.known.insert(text, number);
        let (is_blocked, person) = (self.rules.blocked.contains(text), person_of_id(text));
        self.all.push(Id { text, name: number, is_blocked, visitors: 0, last_visitor: None, person });
        if let Some(name) = self.names.get(text).copied() {
            // a name goes by itself
            let name = self.of(name);
            self.all[number].name = name;
        }
        number
    }

    /// Counts a visitor for an ID's name; visitors come one after the other.
    fn count(&mut self, number: usize, visitor: usize) {
        let name = self.all[number].name;
        let name = &mut self.all[name];
        if name.last_visitor != Some(visitor) {
            name.last_visitor = Some(visitor);
            name.visitors += 1;
        }
    }
}

impl<'a> Ids<'a> {
    fn new(limit: usize, rules: &'a Rules, borne: &'a [VisitorIds]) -> Self {
        let names = rules.names_of_ids();
        let of_rules: Vec<&str> = names.keys().copied().chain(rules.blocked.iter().map(String::as_str)).collect();
        let mut numbers = IdNumbers { rules, names, known: HashMap::new(), all: vec![] };
        for id in of_rules {
            numbers.of(id);
        }
        let mut linked: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (place, (visitor, id)) in rules.linked().into_iter().enumerate() {
            linked.entry(visitor).or_default().push((place, numbers.of(id)));
        }
        let mut of_places = Vec::with_capacity(borne.iter().map(|one| one.ids.len()).sum());
        for (place, VisitorIds { visitor, ids }) in borne.iter().enumerate() {
            for (_, id) in ids {
                let number = numbers.of(id);
                of_places.push(number);
                if numbers.all[number].is_blocked || !rules.is_unlinked(visitor, id) {
                    numbers.count(number, place);
                }
            }
            for (_, number) in linked.get(&**visitor).into_iter().flatten() {
                if !numbers.all[*number].is_blocked {
                    numbers.count(*number, place);
                }
            }
        }
        Self { all: numbers.all, of_places, linked, limit }
    }

    /// True for a name that is on too many visitors.
    fn is_refused(&self, name: usize) -> bool {
        self.all[name].visitors > self.limit
    }

    /// The name of an ID; None where it counts as no ID.
    fn of(&self, number: usize) -> Option<usize> {
        let id = &self.all[number];
        (!id.is_blocked && !self.is_refused(id.name)).then_some(id.name)
    }

    /// The IDs of a visitor's places.
    fn of_member(&self, member: &Member<'_>) -> &[usize] {
        &self.of_places[member.first..member.first + member.borne.ids.len()]
    }

    fn audit(&self) -> Vec<Audit> {
        let verdict = |(number, id): (usize, &Id<'a>)| {
            let name = &self.all[id.name];
            let (verdict, person) = if id.is_blocked {
                ("blocked", None)
            } else if self.is_refused(id.name) {
                ("limit", None)
            } else if id.name != number {
                ("linked", Some(name.person.clone()))
            } else {
                return None;
            };
            Some(Audit { id: id.text.into(), verdict, person, visitors: name.visitors })
        };
        let mut all: Vec<Audit> = self.all.iter().enumerate().filter_map(verdict).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}

fn person_of_id(name: &str) -> Arc<str> {
    Subject::Id(name.to_string()).to_string().into()
}

/// A visitor with IDs, and where they begin among those of all visitors.
#[derive(Clone, Copy)]
struct Member<'a> {
    borne: &'a VisitorIds,
    first: usize,
}

/// Visitors with one time line for rows without ID: those that rules link, and each other one alone.
fn units<'a>(rules: &Rules, borne: &'a [VisitorIds]) -> Vec<Vec<Member<'a>>> {
    let groups = rules.groups_of_visitors();
    let mut linked: HashMap<&str, Vec<Member<'_>>> = HashMap::new();
    let (mut units, mut first) = (vec![], 0);
    for borne in borne {
        let member = Member { borne, first };
        first += borne.ids.len();
        match groups.get(&*borne.visitor) {
            Some(group) => linked.entry(group).or_default().push(member),
            None => units.push(vec![member]),
        }
    }
    units.extend(linked.into_values());
    for unit in &mut units {
        unit.sort_by(|a, b| a.borne.visitor.cmp(&b.borne.visitor));
    }
    // most differ in their first bytes, which need no look at the text
    let mut ordered: Vec<_> = units.into_iter().map(|unit| (beginning(first_visitor(&unit)), unit)).collect();
    ordered.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| first_visitor(one).cmp(first_visitor(other))));
    ordered.into_iter().map(|(_, unit)| unit).collect()
}

fn first_visitor<'a>(unit: &[Member<'a>]) -> &'a str {
    &unit[0].borne.visitor
}

/// The first bytes of a text as a number, in the order of texts.
fn beginning(text: &str) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(bytes.len());
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    u64::from_be_bytes(bytes)
}

/// A place where a row bears an ID: place, number of the member, name of the ID, its number.
type IdPlace<'a> = (Moment, usize, &'a str, usize);

/// Visitors with one time line.
struct VisitorGroup<'a> {
    ids: &'a Ids<'a>,
    rules: &'a Rules,
    members: &'a [Member<'a>],
    line: Vec<IdPlace<'a>>,
    /// The ID to which the latest rule links one of them.
    linked: Option<usize>,
    /// Who they are where no ID says it.
    own: usize,
}

impl<'a> VisitorGroup<'a> {
    fn new(members: &'a [Member<'a>], own: usize, rules: &'a Rules, ids: &'a Ids<'a>) -> Self {
        let mut line: Vec<IdPlace<'a>> = vec![];
        for (number, member) in members.iter().enumerate() {
            let VisitorIds { visitor, ids: borne } = member.borne;
            for ((moment, id), of) in borne.iter().zip(ids.of_member(member)) {
                if !rules.is_unlinked(visitor, id)
                    && let Some(name) = ids.of(*of)
                {
                    line.push((*moment, number, ids.all[name].text, name));
                }
            }
        }
        line.sort();
        let linked = members.iter().filter_map(|member| ids.linked.get(&*member.borne.visitor)).flatten();
        let linked = linked.filter_map(|(place, id)| Some((*place, ids.of(*id)?))).max();
        Self { ids, rules, members, line, linked: linked.map(|(_, name)| name), own }
    }

    fn add_spans(&self, method: Method, spans: &mut Vec<Span>, owners: &mut Owners) {
        for (number, member) in self.members.iter().enumerate() {
            let mut own = Changes(vec![]);
            match (method, self.linked, self.line.as_slice()) {
                (Method::Last, _, [.., (_, of, _, name)]) => own.add(None, *name, why(*of, number)),
                (Method::DeviceSplit, Some(linked), line) => {
                    own.add(None, linked, "linked id");
                    for (moment, _, _, name) in line.iter().filter(|(_, of, ..)| *of == number) {
                        own.add(Some(*moment), *name, "id");
                        own.add(Some((moment.0, moment.1 + 1)), linked, "linked id");
                    }
                }
                (Method::DeviceSplit, None, [(_, of, _, name), ..]) => {
                    own.add(None, *name, why(*of, number));
                    let mut line: Vec<_> = self.line.iter().collect();
                    // at one place the row's own ID holds
                    line.sort_by_key(|(moment, of, ..)| (*moment, *of == number));
                    for (moment, of, _, name) in line {
                        own.add(Some(*moment), *name, why(*of, number));
                    }
                }
                (Method::Last, Some(linked), []) => own.add(None, linked, "linked id"),
                (_, None, []) => own.add(None, self.own, why_without_id(number)),
            }
            let forgotten = self.rules.forgotten(&member.borne.visitor);
            if !forgotten.is_empty() {
                own = self.without_forgotten(own, number, forgotten);
            }
            own.add_spans(&member.borne.visitor, |person| self.person(person), spans);
            // a record with an ID may stand on each visitor that bears it, also where the ID counts for none of the visitor's rows
            let of_records = self.ids.of_member(member).iter().filter_map(|id| self.ids.of(*id));
            owners.add(own.0.iter().map(|(_, person, _)| *person).chain(of_records), spans.len());
        }
    }

    /// What a person of these visitors is called.
    fn person(&self, person: usize) -> Arc<str> {
        match self.ids.all.get(person) {
            Some(id) => id.person.clone(),
            None => Subject::Visitor(first_visitor(self.members).to_string()).to_string().into(),
        }
    }

    /// The same, but rows without an ID that a forgotten person had are the visitor's.
    fn without_forgotten(&self, all: Changes, number: usize, forgotten: &[Between]) -> Changes {
        let borne: BTreeSet<Moment> =
            self.line.iter().filter(|(_, of, ..)| *of == number).map(|(moment, ..)| *moment).collect();
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
                own.add(place, self.own, why_without_id(number));
            } else {
                own.add(place, *person, why);
            }
        }
        own
    }
}

/// What says whose rows are, that a row of the member `of` bears: for the member `number`.
fn why(of: usize, number: usize) -> &'static str {
    if of == number { "id" } else { "linked visitor" }
}

/// What says who a member is, of whom no ID says it.
fn why_without_id(number: usize) -> &'static str {
    if number == 0 { "no id" } else { "linked visitor" }
}

/// Where the person of a visitor's rows becomes another one, by number.
struct Changes(Vec<(Option<Moment>, usize, &'static str)>);

impl Changes {
    fn add(&mut self, from: Option<Moment>, person: usize, why: &'static str) {
        if self.0.last().is_some_and(|(last, ..)| *last == from) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|(_, last, _)| *last != person) {
            self.0.push((from, person, why));
        }
    }

    /// Adds the spans between them; `called` says what a person is called.
    fn add_spans(&self, visitor: &Arc<str>, called: impl Fn(usize) -> Arc<str>, spans: &mut Vec<Span>) {
        let untils = self.0.iter().skip(1).map(|(from, ..)| *from).chain([None]);
        for ((from, person, why), until) in self.0.iter().zip(untils) {
            let (visitor, from, person) = (visitor.clone(), *from, called(*person));
            spans.push(Span { visitor, from, until, person, why, shared: false });
        }
    }
}

/// Whose the rows of visitors are, records of customers included.
#[derive(Default)]
struct Owners {
    /// The persons of one visitor after the other, each once.
    persons: Vec<usize>,
    /// Of each visitor, where its persons end, and where its spans do.
    ends: Vec<(usize, usize)>,
    /// Those of the visitor at hand.
    own: Vec<usize>,
}

impl Owners {
    /// Adds those of the next visitor, whose spans end at `spans_end`.
    fn add(&mut self, persons: impl Iterator<Item = usize>, spans_end: usize) {
        self.own.extend(persons);
        self.own.sort_unstable();
        self.own.dedup();
        self.persons.append(&mut self.own);
        self.ends.push((self.persons.len(), spans_end));
    }

    /// Marks the visitors whose rows are not exactly those of one of `count` persons.
    fn mark_shared(&self, spans: &mut [Span], count: usize) {
        let mut visitors = vec![0_usize; count];
        self.persons.iter().for_each(|person| visitors[*person] += 1);
        let mut from = (0, 0);
        for (persons_end, spans_end) in &self.ends {
            let own = &self.persons[from.0..*persons_end];
            let shared = own.len() > 1 || own.iter().any(|person| visitors[*person] > 1);
            spans[from.1..*spans_end].iter_mut().for_each(|span| span.shared = shared);
            from = (*persons_end, *spans_end);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::rules::{Rule, Verb};
    use super::*;

    /// Visitors with the IDs of their rows, `-` for none: a row each second.
    fn borne(visitors: &[(&str, &str)]) -> Vec<VisitorIds> {
        let of = |(visitor, rows): &(&str, &str)| {
            let ids = rows.split(' ').enumerate().filter(|(_, id)| *id != "-");
            VisitorIds { visitor: (*visitor).into(), ids: ids.map(|(n, id)| ((n as i64, 0), id.into())).collect() }
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
    fn persons_of(found: &SpansAndAudit, visitor: &str, rows: i64) -> String {
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
    fn the_audit_counts_visitors_once() {
        let rows = borne(&[("a", "pc - ann pc"), ("b", "pc bob"), ("c", "bob"), ("d", "eve")]);
        let audit = |lines: &[&str]| -> Vec<String> {
            let found = persons(Method::DeviceSplit, 2, &rules(lines), &rows);
            let person = |audit: &Audit| audit.person.as_deref().unwrap_or("-").to_string();
            found.audit.iter().map(|a| format!("{} {} {} {}", a.id, a.verdict, person(a), a.visitors)).collect()
        };
        // who bears a blocked ID is counted also where a rule says that it is none, and one that nobody bears is listed
        let blocked = ["block id:pc", "block id:zoe", "unlink visitor:a id:pc"];
        assert_eq!(audit(&blocked), ["pc blocked - 2", "zoe blocked - 0"]);
        // IDs that nobody bears are linked as others are; what each of them is on counts for all
        assert_eq!(audit(&["link id:eve id:al", "link id:eve id:zoe"]), ["eve linked id:al 1", "zoe linked id:al 1"]);
        assert_eq!(audit(&["link id:ann id:bob"]), ["ann limit - 3", "bob limit - 3"]);
        // a visitor on which an ID counts as none is not counted; one that a rule links to it is
        assert_eq!(audit(&["link id:ann id:bob", "unlink visitor:a id:ann"]), ["bob linked id:ann 2"]);
        assert_eq!(audit(&["link visitor:d id:bob"]), ["bob limit - 3"]);
        assert_eq!(audit(&["link visitor:b id:bob"]), [""; 0]);
    }

    #[test]
    fn linked_visitors_without_an_id_are_the_first_of_them() {
        let rows = borne(&[("c", "-"), ("b", "-"), ("a", "x")]);
        let found = persons(Method::DeviceSplit, 20, &rules(&["link visitor:c visitor:b", "block id:x"]), &rows);
        let spans: Vec<_> = found.spans.iter().map(|s| (&*s.visitor, &*s.person, s.why, s.shared)).collect();
        let of_b = [("b", "visitor:b", "no id", true), ("c", "visitor:b", "linked visitor", true)];
        assert_eq!(spans, [vec![("a", "visitor:a", "no id", false)], of_b.to_vec()].concat());
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
