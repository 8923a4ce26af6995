//! The elements of a JSON list, one at a time: of an array, or of a list within an object, as the answer of an API has its rows
//! (`{"data": [{...}, {...}], "meta": {...}}`).
//!
//! In: the bytes, and the names on the way to the list. Out: the text of each element. Answers may stand one after another or in
//! an array, as pages of one question do; each has the list. Memory is that of one element.

use std::fmt;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use toml::{Table, Value};

use super::bounded::{BoundedReader, Limit};
use super::delimited::names;
use crate::feed::row_issue::clip;
use crate::{Error, Result};

/// A longer element is no row, nor is what stands before the first one or after the last.
pub const MAX_ROW_BYTES: usize = 64 << 20;

/// Lists are looked for so many names deep.
const MAX_DEPTH: usize = 3;

/// So many lists are named, with so much of each name.
const MAX_NAMED: usize = 5;
const MAX_NAME_BYTES: usize = 60;

/// Takes the element with this number, from 1, and text.
type Each<'a> = dyn FnMut(u64, &[u8]) -> Result<ControlFlow<()>> + 'a;

/// The names on the way to a list.
pub type ListPath = Vec<String>;

/// Takes `rows = "data"` or `rows = ["response", "rows"]` out of a mapping's table.
pub fn take_path(table: &mut Table) -> Result<Option<ListPath>> {
    if let Some(Value::String(one)) = table.get("rows") {
        let one = vec![Value::String(one.clone())];
        table.insert("rows".into(), Value::Array(one));
    }
    let path = names(table, "rows")?;
    match path.as_ref().is_some_and(|path| path.is_empty() || path.iter().any(String::is_empty)) {
        true => Err(Error::configuration("rows has an empty name; name the list of the rows, as in rows = \"data\"")),
        false => Ok(path),
    }
}

/// A path as a mapping has it.
fn written(path: &[String]) -> String {
    let names: Vec<String> = path.iter().map(|name| format!("{:?}", clip(name, MAX_NAME_BYTES))).collect();
    match names.as_slice() {
        [one] => format!("rows = {one}"),
        several => format!("rows = [{}]", several.join(", ")),
    }
}

/// What to say of a file that is one object with these lists; nothing where there are none.
pub fn advice(lists: &[ListPath]) -> String {
    match lists {
        [] => String::new(),
        [only] => format!("; it is one object, and where the rows are in its list, {} says so", written(only)),
        several => {
            let shown: Vec<String> = several.iter().take(MAX_NAMED).map(|path| written(path)).collect();
            format!("; it is one object with several lists; which has the rows, say {}", shown.join(" or "))
        }
    }
}

/// Shows the elements of the list at this path; without names, of an array.
pub fn read_elements(input: impl Read, path: &[String], each: &mut Each<'_>) -> Result<()> {
    let (input, limit) = BoundedReader::new(input, MAX_ROW_BYTES as u64);
    let mut deserializer = Deserializer::from_reader(BufReader::new(input));
    let mut elements = Elements { each, limit, row: 0, stopped: None };
    let mut is_first = true;
    loop {
        match deserializer.end() {
            Ok(()) if is_first => return Err(Error::refused("it has no JSON")),
            Ok(()) => return Ok(()),
            Err(e) if !e.is_syntax() || path.is_empty() && !is_first => return Err(broken(&e, path)),
            Err(_) => is_first = false,
        }
        let done = AtList { path, elements: &mut elements }.deserialize(&mut deserializer);
        if let Some(stopped) = elements.stopped.take() {
            return stopped;
        }
        done.map_err(|e| broken(&e, path))?;
        elements.limit.renew();
    }
}

/// What is wrong, without what the file says.
fn broken(error: &serde_json::Error, path: &[String]) -> Error {
    let (line, sign) = (error.line(), error.column());
    Error::refused(match path {
        _ if error.is_io() => format!("line {line}: {error}"),
        [] => format!("line {line}: the JSON array is broken here (sign {sign}); correct the file and load it again"),
        path if error.is_data() => format!("line {line}: {}, and no such list is in what ends here", written(path)),
        _ => format!("line {line}: the JSON is broken here (sign {sign}); correct the file and load it again"),
    })
}

/// Elements as they come.
struct Elements<'a, 'b> {
    each: &'a mut Each<'b>,
    limit: Limit,
    /// How many there were.
    row: u64,
    /// Why not all of them were taken.
    stopped: Option<Result<()>>,
}

impl Elements<'_, '_> {
    fn take<'de, A: SeqAccess<'de>>(&mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<Box<RawValue>>()? {
            self.row += 1;
            self.limit.renew();
            self.stopped = match (self.each)(self.row, element.get().as_bytes()) {
                Ok(ControlFlow::Continue(())) => continue,
                Ok(ControlFlow::Break(())) => Some(Ok(())),
                Err(error) => Some(Err(error)),
            };
            return Err(A::Error::custom("stopped"));
        }
        Ok(())
    }
}

/// A value in which the list is, at this path.
struct AtList<'e, 'a, 'b> {
    path: &'e [String],
    elements: &'e mut Elements<'a, 'b>,
}

impl<'de> DeserializeSeed<'de> for AtList<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AtList<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of the rows")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((name, rest)) = self.path.split_first() else { return Err(A::Error::custom("no list")) };
        let mut is_there = false;
        while let Some(is_it) = map.next_key_seed(IsName(name))? {
            if is_it {
                is_there = true;
                map.next_value_seed(AtList { path: rest, elements: &mut *self.elements })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if is_there { Ok(()) } else { Err(A::Error::custom("no such name")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.path.is_empty() {
            return self.elements.take(list);
        }
        while list.next_element_seed(AtList { path: self.path, elements: &mut *self.elements })?.is_some() {}
        Ok(())
    }

    /// An answer without rows may have nothing in the place of the list.
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.path.is_empty() { Ok(()) } else { Err(E::custom("no list")) }
    }
}

/// True for a key of this name.
struct IsName<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == name)
    }
}

/// The lists of objects in a file that is one object, by their paths; none where it is anything else.
pub fn lists_in(input: impl Read) -> Vec<ListPath> {
    let (input, limit) = BoundedReader::new(input, MAX_ROW_BYTES as u64);
    let mut deserializer = Deserializer::from_reader(BufReader::new(input));
    let mut found = vec![];
    let done = Lists { path: vec![], limit: &limit, found: &mut found }.deserialize(&mut deserializer);
    match done.and_then(|()| deserializer.end()) {
        Ok(()) => found,
        Err(_) => vec![],
    }
}

/// A value in which lists of objects are looked for.
struct Lists<'a> {
    path: ListPath,
    limit: &'a Limit,
    found: &'a mut Vec<ListPath>,
}

impl<'de> DeserializeSeed<'de> for Lists<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Lists<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if self.path.len() == MAX_DEPTH {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let path = self.path.iter().cloned().chain([name]).collect();
            map.next_value_seed(Lists { path, limit: self.limit, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let first = list.next_element::<Box<RawValue>>()?;
        let is_of_objects = first.is_some_and(|first| first.get().starts_with('{'));
        // one more than is named shows that there are more
        if is_of_objects && !self.path.is_empty() && self.found.len() <= MAX_NAMED {
            self.found.push(self.path);
        }
        self.limit.renew();
        while list.next_element::<IgnoredAny>()?.is_some() {
            self.limit.renew();
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn path(names: &[&str]) -> ListPath {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn read(text: &str, names: &[&str]) -> Result<Vec<String>> {
        let mut found = vec![];
        read_elements(text.as_bytes(), &path(names), &mut |row, element| {
            found.push(format!("{row} {}", String::from_utf8_lossy(element)));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    #[test]
    fn lists_within_objects() {
        let answer = r#"{"meta": {"data": [9]}, "data": [{"a":1}, 5], "more": "x"}"#;
        assert_eq!(read(answer, &["data"]).unwrap(), [r#"1 {"a":1}"#, "2 5"]);
        assert_eq!(read(answer, &["meta", "data"]).unwrap(), ["1 9"]);
        // pages, one after another and in an array; pages without rows
        let pages = "{\"data\":[1]}\n{\"data\":[2]} {\"data\":null}{\"data\":[]}";
        assert_eq!(read(pages, &["data"]).unwrap(), ["1 1", "2 2"]);
        assert_eq!(read("[{\"data\":[1]}, {\"data\":[2]}]", &["data"]).unwrap(), ["1 1", "2 2"]);
        assert_eq!(read("[1, [2]]", &[]).unwrap(), ["1 1", "2 [2]"]);
    }

    #[test]
    fn what_has_no_such_list_says_so_without_what_it_says() {
        for (text, names, said) in [
            (r#"{"secret": [1]}"#, &["data"][..], r#"rows = "data", and no such list"#),
            (r#"{"data": "secret"}"#, &["data"], "no such list"),
            (r#"{"data": {"secret": 1}}"#, &["data"], "no such list"),
            (r#"{"data": [1]} {"error": "secret"}"#, &["data"], "no such list"),
            (r#"{"a": {"secret": 1}}"#, &["a", "b"], r#"rows = ["a", "b"], and no such list"#),
            ("{\"data\": [1,\n", &["data"], "the JSON is broken here"),
            ("{\"data\": [1]} secret", &["data"], "the JSON is broken here"),
            ("[1] secret", &[], "the JSON array is broken here"),
            (" \n", &["data"], "it has no JSON"),
        ] {
            let error = read(text, names).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn lists_that_may_be_rows() {
        let found = |text: &str| advice(&lists_in(text.as_bytes()));
        assert!(found(r#"{"meta": 1, "data": [{"a": [{}]}, 2]}"#).ends_with(r#"rows = "data" says so"#));
        assert!(found(r#"{"response": {"rows": [{}], "n": [1]}}"#).ends_with(r#"rows = ["response", "rows"] says so"#));
        assert!(found(r#"{"a": [{}], "b": [{}]}"#).ends_with(r#"rows = "a" or rows = "b""#));
        for other in ["", "5", "[{}]", r#"{"a": [1]}"#, r#"{"a": []}"#, r#"{"a": [{}]} {"a": [{}]}"#, r#"{"a": [{}"#] {
            assert_eq!(found(other), "", "{other}");
        }
    }
}
