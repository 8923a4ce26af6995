//! What is built after what.

use std::collections::{BTreeMap, BTreeSet};

/// The names so that each comes after those that it reads, and those that cannot be ordered, each with a circle that it is
/// part of or waits for. `reads` may name what is not in the map; that is not waited for.
pub fn order(reads: &BTreeMap<String, BTreeSet<String>>) -> (Vec<String>, BTreeMap<String, String>) {
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, read) in reads {
        waiting.insert(name, read.iter().map(String::as_str).filter(|r| reads.contains_key(*r)).collect());
    }
    let mut ordered: Vec<String> = vec![];
    while let Some(next) = waiting.iter().find(|(_, read)| read.is_empty()).map(|(name, _)| *name) {
        waiting.remove(next);
        waiting.values_mut().for_each(|read| read.retain(|r| *r != next));
        ordered.push(next.to_string());
    }
    let circles = waiting.keys().map(|name| (name.to_string(), circle_from(name, &waiting))).collect();
    (ordered, circles)
}

/// `a reads b reads a`: the first circle that one comes to.
fn circle_from(start: &str, waiting: &BTreeMap<&str, BTreeSet<&str>>) -> String {
    let mut path = vec![start];
    // each table that waits reads another one that waits, so this ends in a name that was met before
    while let Some(next) = path.last().and_then(|last| waiting.get(last)?.first()) {
        if let Some(at) = path.iter().position(|name| name == next) {
            path.drain(..at);
            path.push(next);
            break;
        }
        path.push(next);
    }
    path.join(" reads ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ordered(reads: &[(&str, &[&str])]) -> (Vec<String>, BTreeMap<String, String>) {
        let set = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
        order(&reads.iter().map(|(name, read)| (name.to_string(), set(read))).collect())
    }

    #[test]
    fn what_is_read_comes_first() {
        let (names, circles) =
            ordered(&[("a", &["c", "events"]), ("b", &["a"]), ("c", &["hits"]), ("d", &[]), ("e", &["b", "c"])]);
        assert_eq!(names, ["c", "a", "b", "d", "e"]);
        assert!(circles.is_empty());
    }

    #[test]
    fn circles_are_named() {
        let (names, circles) = ordered(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &["d"]), ("e", &["hits"])]);
        assert_eq!(names, ["e"]);
        assert_eq!(circles["a"], "b reads c reads b");
        assert_eq!(circles["b"], "b reads c reads b");
        assert_eq!(circles["d"], "d reads d");
    }
}
