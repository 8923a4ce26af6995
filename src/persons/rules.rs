//! What the rules of a suite amount to: the latest of two that contradict each other holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

use super::forgotten::Between;
use super::subject::Subject;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Two are one: two customer IDs, two visitors, or a visitor and the ID whose its rows without ID are.
    Link,
    /// Takes a link back. Of a visitor and an ID: on this visitor the ID counts as none.
    Unlink,
    /// A customer ID that stands for nobody: a shared computer, a test account.
    Block,
    /// Takes that back.
    Unblock,
}

impl Verb {
    /// The words, in the order of the variants.
    pub const NAMES: [&str; 4] = ["link", "unlink", "block", "unblock"];
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Link, Self::Unlink, Self::Block, Self::Unblock];
        let found = all.into_iter().find(|verb| verb.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is no rule of persons; it is one of {}", Self::NAMES.join(", ")))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it does.
    pub verb: Verb,
    /// To whom.
    pub first: Subject,
    /// With whom, where two are linked or unlinked.
    pub second: Option<Subject>,
}

impl Rule {
    /// A rule, if its parts go together.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn new(verb: Verb, first: Subject, second: Option<Subject>) -> Result<Self, String> {
        match (verb, &first, &second) {
            (Verb::Block | Verb::Unblock, Subject::Id(_), None) => {}
            (Verb::Block | Verb::Unblock, Subject::Visitor(_), None) => {
                return Err(format!("{verb} takes a customer ID, id:ID, not a visitor"));
            }
            (Verb::Link | Verb::Unlink, first, Some(second)) if first == second => {
                return Err(format!("{verb}: the two are the same"));
            }
            (Verb::Link | Verb::Unlink, _, Some(_)) => {}
            (Verb::Link | Verb::Unlink, _, None) => return Err(format!("{verb} takes two, such as id:ID visitor:ID")),
            (Verb::Block | Verb::Unblock, _, Some(_)) => return Err(format!("{verb} takes one customer ID")),
        }
        Ok(Self { verb, first, second })
    }
}

/// What rules amount to.
#[derive(Debug, Default)]
pub struct Rules {
    /// IDs that stand for nobody.
    pub blocked: BTreeSet<String>,
    id_links: BTreeSet<(String, String)>,
    visitor_links: BTreeSet<(String, String)>,
    /// Visitor and ID, with the place of the rule among all.
    linked: BTreeMap<(String, String), usize>,
    unlinked: BTreeSet<(String, String)>,
    /// Of visitors the rows without ID that are nobody's but theirs.
    forgotten: BTreeMap<String, Vec<Between>>,
}

impl Rules {
    /// Of rules, the oldest first.
    pub fn new(rules: &[Rule]) -> Self {
        let mut all = Self::default();
        for (place, rule) in rules.iter().enumerate() {
            all.take(place, rule);
        }
        all
    }

    fn take(&mut self, place: usize, rule: &Rule) {
        use Subject::{Id, Visitor};
        let ordered = |a: &String, b: &String| if a <= b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        match (rule.verb, &rule.first, &rule.second) {
            (Verb::Block, Id(id), _) => drop(self.blocked.insert(id.clone())),
            (Verb::Unblock, Id(id), _) => drop(self.blocked.remove(id)),
            (Verb::Link, Id(a), Some(Id(b))) => drop(self.id_links.insert(ordered(a, b))),
            (Verb::Unlink, Id(a), Some(Id(b))) => drop(self.id_links.remove(&ordered(a, b))),
            (Verb::Link, Visitor(a), Some(Visitor(b))) => drop(self.visitor_links.insert(ordered(a, b))),
            (Verb::Unlink, Visitor(a), Some(Visitor(b))) => drop(self.visitor_links.remove(&ordered(a, b))),
            (verb, Id(id), Some(Visitor(visitor))) | (verb, Visitor(visitor), Some(Id(id))) => {
                let pair = (visitor.clone(), id.clone());
                if verb == Verb::Link {
                    self.unlinked.remove(&pair);
                    self.linked.insert(pair, place);
                } else {
                    self.linked.remove(&pair);
                    self.unlinked.insert(pair);
                }
            }
            // no rule is made of these
            (_, _, None) | (Verb::Block | Verb::Unblock, ..) => {}
        }
    }

    /// The same, and rows of visitors whose person was forgotten.
    pub fn forgetting(mut self, forgotten: Vec<(String, Between)>) -> Self {
        for (visitor, between) in forgotten {
            self.forgotten.entry(visitor).or_default().push(between);
        }
        self
    }

    /// The rows of a visitor that are nobody else's where they have no ID.
    pub fn forgotten(&self, visitor: &str) -> &[Between] {
        self.forgotten.get(visitor).map_or(&[], Vec::as_slice)
    }

    /// True where an ID on this visitor counts as none.
    pub fn is_unlinked(&self, visitor: &str, id: &str) -> bool {
        !self.unlinked.is_empty() && self.unlinked.contains(&(visitor.to_string(), id.to_string()))
    }

    /// Rules that take a visitor out of the person with these customer IDs, where the visitor's rows bear `borne`; no rule where
    /// nothing ties the two.
    ///
    /// # Errors
    /// An ID that no rule can name.
    pub fn unlinking(
        &self,
        visitor: &str,
        ids: &BTreeSet<String>,
        borne: &BTreeSet<String>,
    ) -> Result<Vec<Rule>, String> {
        let links = |id: &&String| {
            let bears = borne.contains(*id) && !self.is_unlinked(visitor, id);
            bears || self.linked.contains_key(&(visitor.to_string(), id.to_string()))
        };
        let linked_to = |(a, b): &(String, String)| match (a == visitor, b == visitor) {
            (true, _) => Some(format!("visitor:{b}")),
            (_, true) => Some(format!("visitor:{a}")),
            _ => None,
        };
        let others = ids.iter().filter(links).map(|id| format!("id:{id}"));
        let others = others.chain(self.visitor_links.iter().filter_map(linked_to));
        let first: Subject = format!("visitor:{visitor}").parse()?;
        others.map(|other| Rule::new(Verb::Unlink, first.clone(), Some(other.parse()?))).collect()
    }

    /// Visitors with the IDs that they are linked to, the latest rule last.
    pub fn linked(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = self.linked.iter().map(|((visitor, id), place)| (*place, visitor, id)).collect();
        all.sort();
        all.into_iter().map(|(_, visitor, id)| (visitor.as_str(), id.as_str())).collect()
    }

    /// Visitors that some rule names: one that links them, to an ID or to another visitor, or a person's who was forgotten.
    pub fn named_visitors(&self) -> BTreeSet<&str> {
        let pairs = self.visitor_links.iter().flat_map(|(a, b)| [a.as_str(), b.as_str()]);
        let linked = self.linked.keys().map(|(visitor, _)| visitor.as_str());
        pairs.chain(linked).chain(self.forgotten.keys().map(String::as_str)).collect()
    }

    /// What each linked ID is called, the first of its IDs in the order of bytes; a blocked one links nobody.
    pub fn names_of_ids(&self) -> HashMap<&str, &str> {
        let links = self.id_links.iter().filter(|(a, b)| !self.blocked.contains(a) && !self.blocked.contains(b));
        grouped(links.map(|(a, b)| (a.as_str(), b.as_str())))
    }

    /// The first visitor of each group of linked ones, in the order of bytes.
    pub fn groups_of_visitors(&self) -> HashMap<&str, &str> {
        grouped(self.visitor_links.iter().map(|(a, b)| (a.as_str(), b.as_str())))
    }
}

/// Each of those that pairs bring together, with the least of its group.
fn grouped<T: Copy + Ord + Hash>(pairs: impl Iterator<Item = (T, T)>) -> HashMap<T, T> {
    let mut above: HashMap<T, T> = HashMap::new();
    let top = |above: &HashMap<T, T>, mut one: T| {
        while let Some(next) = above.get(&one).filter(|next| **next != one) {
            one = *next;
        }
        one
    };
    for (a, b) in pairs {
        let (a, b) = (*above.entry(a).or_insert(a), *above.entry(b).or_insert(b));
        let (a, b) = (top(&above, a), top(&above, b));
        above.insert(a.max(b), a.min(b));
    }
    let all: Vec<T> = above.keys().copied().collect();
    for one in all {
        // what was walked is shorter for the next search
        let least = top(&above, one);
        above.insert(one, least);
    }
    above
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rules(lines: &[&str]) -> Rules {
        let rule = |line: &&str| {
            let mut words = line.split(' ');
            let verb: Verb = words.next().unwrap().parse().unwrap();
            let mut subject = || words.next().map(|word| word.parse::<Subject>().unwrap());
            Rule::new(verb, subject().unwrap(), subject()).unwrap()
        };
        Rules::new(&lines.iter().map(rule).collect::<Vec<_>>())
    }

    #[test]
    fn the_latest_of_two_rules_holds() {
        let all = rules(&[
            "link id:b id:a",
            "link id:c id:b",
            "unlink visitor:v id:a",
            "block id:z",
            "block id:y",
            "unblock id:z",
        ]);
        assert_eq!(all.names_of_ids(), HashMap::from([("a", "a"), ("b", "a"), ("c", "a")]));
        assert!(all.is_unlinked("v", "a") && !all.is_unlinked("v", "b"));
        assert_eq!(all.blocked, BTreeSet::from(["y".to_string()]));
        let all = rules(&[
            "link id:b id:a",
            "link id:c id:b",
            "unlink id:b id:c",
            "unlink visitor:v id:a",
            "link id:a visitor:v",
        ]);
        assert_eq!(all.names_of_ids(), HashMap::from([("a", "a"), ("b", "a")]));
        assert!(!all.is_unlinked("v", "a"));
        assert_eq!(all.linked(), [("v", "a")]);
    }

    #[test]
    fn a_blocked_id_links_nobody() {
        let all = rules(&["link id:a id:b", "link id:b id:c", "block id:b"]);
        assert_eq!(all.names_of_ids(), HashMap::new());
    }

    #[test]
    fn a_visitor_is_taken_out_of_a_person() {
        let all =
            rules(&["link visitor:v id:a", "unlink visitor:v id:b", "link visitor:u visitor:v", "link visitor:v id:z"]);
        let set = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<BTreeSet<_>>();
        let out = |visitor: &str, ids: &[&str], borne: &[&str]| all.unlinking(visitor, &set(ids), &set(borne)).unwrap();
        let text = |rule: &Rule| format!("{} {} {}", rule.verb, rule.first, rule.second.as_ref().unwrap());
        // b counts as none there already, c is on its rows, d is not, z is another person
        let found: Vec<String> = out("v", &["a", "b", "c", "d"], &["b", "c"]).iter().map(text).collect();
        assert_eq!(found, ["unlink visitor:v id:a", "unlink visitor:v id:c", "unlink visitor:v visitor:u"]);
        assert!(out("w", &["a"], &["z"]).is_empty());
        let long = "x".repeat(5000);
        assert!(all.unlinking("w", &set(&[long.as_str()]), &set(&[long.as_str()])).is_err());
    }

    #[test]
    fn circles_and_long_chains_are_one_group() {
        let lines: Vec<String> =
            (0..10_000).map(|n| format!("link visitor:v{n:05} visitor:v{:05}", (n + 1) % 10_000)).collect();
        let all = rules(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let groups = all.groups_of_visitors();
        assert_eq!(groups.len(), 10_000);
        assert!(groups.values().all(|first| *first == "v00000"));
    }

    #[test]
    fn rules_that_make_no_sense() {
        let subject = |text: &str| text.parse::<Subject>().unwrap();
        for (verb, first, second) in [
            (Verb::Link, "id:a", None),
            (Verb::Link, "id:a", Some("id:a")),
            (Verb::Block, "visitor:v", None),
            (Verb::Block, "id:a", Some("id:b")),
        ] {
            assert!(Rule::new(verb, subject(first), second.map(subject)).is_err(), "{verb} {first} {second:?}");
        }
        assert!("lnk".parse::<Verb>().unwrap_err().contains("link, unlink"));
    }
}
