//! What is wanted of JSON objects, and the shape that their values have.
//!
//! In: the paths that a mapping names. Out: values of these places alone, and for each place the type that all its values
//! fit: where they differ it is text, so that no value keeps a file from being loaded (`widen`).

pub mod widen;

use std::collections::BTreeMap;
use std::fmt;

use arrow::datatypes::{DataType, Field, Fields};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::feed::{caret, written_numbers};

/// The places that are wanted of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The value as a whole.
    all: bool,
    /// Nobody misses it where no row has it.
    if_there: bool,
    /// A list of which an element is wanted: what stands alone is one of one.
    list: bool,
    /// A list of records: an element that is no object is none. A text that holds JSON is what it holds.
    records: bool,
    /// As JSON in a text, for functions that look into one.
    json: bool,
    /// Of a list, the parts of its elements.
    parts: BTreeMap<String, Wanted>,
}

impl Wanted {
    /// Everything.
    pub fn everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// The value at this path as a whole, too.
    pub fn add<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) {
        self.place(path).all = true;
    }

    /// The list at this path, too.
    pub fn add_list<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) {
        let place = self.place(path);
        (place.all, place.list) = (true, true);
    }

    /// The value at this path as JSON in a text, too, unless parts of it are named besides.
    pub fn add_json<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) {
        let place = self.place(path);
        (place.all, place.json) = (true, true);
    }

    /// The list of records at this path, too.
    pub fn add_records<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) {
        let place = self.place(path);
        (place.all, place.list, place.records) = (true, true, true);
    }

    /// A part of the elements of the list at this path, too.
    pub fn add_element<'a>(
        &mut self,
        list: impl IntoIterator<Item = &'a str>,
        part: impl IntoIterator<Item = &'a str>,
    ) {
        self.place(list).place(part).all = true;
    }

    fn place<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let mut place = self;
        for part in path {
            place = place.parts.entry(part.to_string()).or_default();
            place.if_there = false;
        }
        place
    }

    /// The names of the parts that are wanted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// True where a part of exactly this name is wanted.
    pub fn has_name(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// A part of this name comes from elsewhere.
    pub fn leave_out(&mut self, name: &str) {
        self.parts.remove(name);
    }

    /// The part of this name as a whole, where some row has it.
    pub fn add_if_there(&mut self, name: &str) {
        self.parts.entry(name.to_string()).or_insert(Self { if_there: true, ..Self::default() }).all = true;
    }
}

/// Reads a value, but of an object only what is wanted; what is no object has no parts.
pub struct Pruned<'a>(pub &'a Wanted);

impl<'de> DeserializeSeed<'de> for Pruned<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.0.all {
            return Ok(arranged(serde::Deserialize::deserialize(deserializer)?, self.0));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pruned<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut parts = Map::new();
        while let Some(key) = map.next_key_seed(Key(self.0))? {
            match key {
                Some((name, wanted)) => {
                    let value = map.next_value_seed(Pruned(wanted))?;
                    parts.insert(name.to_string(), value);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(parts))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// A value in which what is wanted as a list is one.
fn arranged(value: Value, wanted: &Wanted) -> Value {
    if wanted.json && wanted.parts.is_empty() && !wanted.list && (value.is_object() || value.is_array()) {
        return Value::String(json(&value));
    }
    let value = if wanted.records { held(value) } else { value };
    let mut value = if wanted.list { listed(value) } else { value };
    if wanted.parts.is_empty() {
        return value;
    }
    let arrange = |object: &mut Value| {
        if wanted.records {
            *object = held(object.take());
        }
        match object {
            Value::Object(parts) => {
                for (name, wanted) in &wanted.parts {
                    if let Some(part) = parts.get_mut(name) {
                        *part = arranged(part.take(), wanted);
                    }
                }
            }
            other if wanted.records => *other = Value::Null,
            _ => {}
        }
    };
    match &mut value {
        Value::Array(elements) if wanted.list => elements.iter_mut().for_each(arrange),
        object if !wanted.list => arrange(object),
        _ => {}
    }
    value
}

/// The records of a list that stands in a text as JSON, or the one that does; None in the place of what is none.
pub fn records_in(text: &str) -> Vec<Option<Map<String, Value>>> {
    if text.trim() == "null" {
        return vec![];
    }
    let Value::Array(items) = listed(held(Value::from(text))) else { return vec![] };
    let record = |item: Value| match held(item) {
        Value::Object(record) => Some(record),
        _ => None,
    };
    items.into_iter().map(record).collect()
}

/// The list or object that a text holds as JSON; what holds none is as it is.
fn held(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    if !text.trim_start().starts_with(['[', '{']) {
        return value;
    }
    let read: serde_json::Result<Value> = serde_json::from_slice(&written_numbers::marked(text.as_bytes()));
    read.unwrap_or(value)
}

/// A value as a list; what is empty is no value.
fn listed(value: Value) -> Value {
    match &value {
        Value::Null | Value::Array(_) => value,
        Value::String(text) if text.is_empty() => value,
        Value::Object(parts) if parts.is_empty() => value,
        _ => Value::Array(vec![value]),
    }
}

/// A key of an object: the wanted part of that name.
struct Key<'a>(&'a Wanted);

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<(&'a str, &'a Wanted)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<(&'a str, &'a Wanted)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.parts.get_key_value(name).map(|(name, wanted)| (name.as_str(), wanted)))
    }
}

/// The type that all values of a place fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Shape {
    /// No value was seen.
    #[default]
    Nothing,
    /// Nothing but empty texts, which some write in the place of a list or an object that is not there.
    Blank,
    /// True or false.
    Flag,
    /// A whole number of 64 bits.
    Whole,
    /// A number.
    Number,
    /// A text, or values of several types.
    Text,
    /// A list.
    List(Box<Shape>),
    /// An object.
    Object(BTreeMap<String, Shape>),
    /// A list that no row has.
    NoList(Box<Shape>),
}

impl Shape {
    /// The shape of what is wanted of an object: its parts are there, whether some row has them or not.
    pub fn hold(&mut self, wanted: &Wanted) {
        let is_object = matches!(self, Self::Object(parts) if !parts.is_empty());
        match wanted {
            Wanted { list: true, .. } => self.hold_list(wanted),
            // what is wanted as a whole has the parts that are named besides, where it has any
            Wanted { all: true, .. } if wanted.parts.is_empty() || !is_object => {}
            _ => self.hold_parts(wanted),
        }
    }

    /// What is taken for a list is one, whatever stands in its place, and its elements have what is wanted of them.
    fn hold_list(&mut self, wanted: &Wanted) {
        match self {
            Self::Nothing => *self = Self::NoList(Box::default()),
            Self::Blank => *self = Self::List(Box::default()),
            Self::Object(parts) if parts.is_empty() => *self = Self::List(Box::default()),
            _ => {}
        }
        if let Self::List(item) | Self::NoList(item) = self
            && !wanted.parts.is_empty()
            && (item.is_empty() || matches!(**item, Self::Object(_)))
        {
            item.hold_parts(wanted);
        }
    }

    fn hold_parts(&mut self, wanted: &Wanted) {
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(BTreeMap::new());
        }
        if let Self::Object(parts) = self {
            let needed = wanted.parts.iter().filter(|(_, wanted)| !wanted.if_there);
            needed.for_each(|(name, wanted)| parts.entry(name.clone()).or_default().hold(wanted));
        }
    }

    /// True where some row had a value here.
    pub fn is_seen(&self) -> bool {
        match self {
            Self::Nothing | Self::NoList(_) => false,
            Self::Object(parts) if !parts.is_empty() => parts.values().any(Self::is_seen),
            _ => true,
        }
    }

    /// True where no value has anything in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Nothing | Self::Blank | Self::NoList(_) => true,
            Self::List(item) => **item == Self::Nothing,
            Self::Object(parts) => parts.is_empty(),
            _ => false,
        }
    }

    /// The shape of a part of an object, or of the objects in a list.
    pub fn part(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(parts) => parts.get(name),
            Self::List(item) => item.part(name),
            _ => None,
        }
    }

    /// As a type of columns; what was never seen has no type of its own, so that it fits wherever it is named.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Nothing => DataType::Null,
            Self::Text | Self::Blank => DataType::Utf8,
            Self::Flag => DataType::Boolean,
            Self::Whole => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::List(item) | Self::NoList(item) if **item == Self::Nothing => {
                DataType::new_list(DataType::Utf8, true)
            }
            Self::List(item) | Self::NoList(item) => DataType::new_list(item.data_type(), true),
            Self::Object(parts) if parts.is_empty() => DataType::Utf8,
            Self::Object(_) => DataType::Struct(self.fields()),
        }
    }

    /// The parts of an object as columns.
    pub fn fields(&self) -> Fields {
        match self {
            Self::Object(parts) => parts.iter().map(|(name, part)| Field::new(name, part.data_type(), true)).collect(),
            _ => Fields::empty(),
        }
    }

    /// A value in this shape.
    pub fn fit(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Object(parts), Value::Object(object)) if !parts.is_empty() => {
                let part = |(name, value): (String, Value)| {
                    let shape = parts.get(&name)?;
                    Some((name, shape.fit(value)))
                };
                Value::Object(object.into_iter().filter_map(part).collect())
            }
            (Self::Object(parts), _) if !parts.is_empty() => Value::Null,
            (Self::List(item), Value::Array(values)) => {
                Value::Array(values.into_iter().map(|value| item.fit(value)).collect())
            }
            // what is empty is none of these
            (Self::List(_) | Self::NoList(_), _) => Value::Null,
            (Self::Number, Value::String(number)) => {
                let number = written_numbers::number(&number).and_then(double).and_then(Number::from_f64);
                number.map_or(Value::Null, Value::Number)
            }
            (Self::Text | Self::Blank | Self::Nothing | Self::Object(_), value) => text(value),
            (_, value) => value,
        }
    }
}

/// A number of a marked text, where it is a finite one.
fn double(number: &str) -> Option<f64> {
    number.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A value as text: a list of scalars as the values of a list variable, what is deeper as JSON.
fn text(value: Value) -> Value {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(written_numbers::number(text).unwrap_or(text).to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    match &value {
        Value::Null => Value::Null,
        Value::Array(values) => {
            let scalars: Option<Vec<String>> = values.iter().filter(|v| !v.is_null()).map(scalar).collect();
            match scalars {
                Some(scalars) => {
                    let mut joined = String::new();
                    caret::join_list(scalars.iter().map(String::as_str), &mut joined);
                    Value::String(joined)
                }
                None => Value::String(json(&value)),
            }
        }
        Value::Object(_) => Value::String(json(&value)),
        other => scalar(other).map_or(Value::Null, Value::String),
    }
}

/// A value as JSON, its numbers as they were written.
fn json(value: &Value) -> String {
    match value {
        Value::String(text) => written_numbers::number(text).map_or_else(|| value.to_string(), str::to_string),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(json).collect();
            format!("[{}]", values.join(","))
        }
        Value::Object(parts) => {
            let part = |(name, part): (&String, &Value)| format!("{}:{}", Value::from(name.as_str()), json(part));
            let parts: Vec<String> = parts.iter().map(part).collect();
            format!("{{{}}}", parts.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::widen::PartsLeft;
    use super::*;

    fn wanted(paths: &[&[&str]]) -> Wanted {
        let mut wanted = Wanted::default();
        paths.iter().for_each(|path| wanted.add(path.iter().copied()));
        wanted
    }

    fn pruned(wanted: &Wanted, text: &str) -> Value {
        Pruned(wanted).deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap()
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        let wanted = wanted(&[&["a"], &["user", "id"], &["user", "address", "city"]]);
        let text =
            r#"{"a":[1,{"b":2}],"other":{"x":[[[]]]},"user":{"id":7,"name":"x","address":{"city":"K","zip":1}}}"#;
        let expected = serde_json::json!({"a":[1,{"b":2}],"user":{"id":7,"address":{"city":"K"}}});
        assert_eq!(pruned(&wanted, text), expected);
        for (user, expected) in [
            ("7", "null"),
            ("\"x\"", "null"),
            ("[1]", "null"),
            ("null", "null"),
            ("true", "null"),
            ("1.5", "null"),
            ("{}", "{}"),
        ] {
            assert_eq!(pruned(&wanted, &format!(r#"{{"user":{user}}}"#))["user"].to_string(), expected);
        }
        // what stands twice counts as it stood last
        assert_eq!(pruned(&wanted, r#"{"a":1,"a":2}"#)["a"], 2);
    }

    #[test]
    fn a_list_that_is_taken_apart() {
        let mut rows = wanted(&[&["id"], &["actions", "page"]]);
        rows.add_list(["actions", "tags"]);
        rows.add_records(["actions"]);
        for (row, actions) in [
            (r#"{"id":1}"#, "null"),
            (r#"{"actions":[]}"#, "[]"),
            (r#"{"actions":{"page":"p","tags":"t"}}"#, r#"[{"page":"p","tags":["t"]}]"#),
            (r#"{"actions":[{"tags":[1]},"odd",null,[]]}"#, r#"[{"tags":[1]},null,null,null]"#),
            (r#"{"actions":"odd"}"#, "[null]"),
            // JSON in a text, as a whole or an element, and what is none
            (r#"{"actions":"[{\"page\":1.50}]"}"#, r#"[{"page":"\u00001.50"}]"#),
            (r#"{"actions":["{\"page\":\"p\"}","{page","[1]"]}"#, r#"[{"page":"p"},null,null]"#),
            (r#"{"actions":" {\"page\":\"p\"}"}"#, r#"[{"page":"p"}]"#),
            (r#"{"actions":"[{"}"#, "[null]"),
        ] {
            assert_eq!(pruned(&rows, row)["actions"].to_string(), actions, "{row}");
            let mut shape = Shape::Object(BTreeMap::new());
            shape.take(&pruned(&rows, row), &mut PartsLeft::default());
            shape.hold(&rows);
            let actions = shape.part("actions").unwrap();
            assert!(actions.part("page").is_some() || matches!(actions, Shape::NoList(_)), "{row}");
        }
        // elements of which nothing is named stay as they are
        let mut plain = wanted(&[&["id"]]);
        plain.add_records(["tags"]);
        assert_eq!(pruned(&plain, r#"{"tags":["a",{"b":1}]}"#)["tags"].to_string(), r#"["a",{"b":1}]"#);
    }

    #[test]
    fn what_is_taken_for_a_list_is_one() {
        let mut records = wanted(&[&["id"]]);
        records.add_list(["items"]);
        records.add_element(["items"], ["sku"]);
        records.add_element(["items"], ["cost", "net"]);
        let mut texts = wanted(&[&["id"]]);
        texts.add_list(["items"]);
        let read = |wanted: &Wanted, rows: &[&str]| {
            let rows: Vec<Value> = rows.iter().map(|row| pruned(wanted, row)).collect();
            let mut shape = Shape::Object(BTreeMap::new());
            rows.iter().for_each(|row| shape.take(row, &mut PartsLeft::default()));
            shape.hold(wanted);
            let items = rows.into_iter().map(|row| shape.fit(row)["items"].to_string()).collect::<Vec<_>>();
            (shape.part("items").unwrap().data_type(), shape.part("items").unwrap().is_seen(), items.join(" "))
        };
        let text = DataType::new_list(DataType::Utf8, true);
        for (row, is_seen, items) in [
            (r#"{"id":1}"#, false, "null"),
            (r#"{"items":null}"#, false, "null"),
            (r#"{"items":[]}"#, true, "[]"),
            (r#"{"items":""}"#, true, "null"),
            (r#"{"items":{}}"#, true, "null"),
            (r#"{"items":"a"}"#, true, r#"["a"]"#),
        ] {
            assert_eq!(read(&texts, &[row]), (text.clone(), is_seen, items.to_string()), "{row}");
        }
        // a part that no record has is one without values
        let net = DataType::Struct(vec![Field::new("net", DataType::Null, true)].into());
        let of = |sku: DataType| {
            let fields = vec![Field::new("cost", net.clone(), true), Field::new("sku", sku, true)];
            DataType::new_list(DataType::Struct(fields.into()), true)
        };
        for (row, sku, items) in [
            (r#"{"id":1}"#, DataType::Null, "null"),
            (r#"{"items":[]}"#, DataType::Null, "[]"),
            (r#"{"items":""}"#, DataType::Null, "null"),
            (r#"{"items":[{}]}"#, DataType::Null, "[{}]"),
            (r#"{"items":[null]}"#, DataType::Null, "[null]"),
            (r#"{"items":{"sku":"s"}}"#, DataType::Utf8, r#"[{"sku":"s"}]"#),
            (r#"{"items":[{"sku":"s"},{}]}"#, DataType::Utf8, r#"[{"sku":"s"},{}]"#),
        ] {
            let (data_type, _, found) = read(&records, &[row]);
            assert_eq!((data_type, found), (of(sku), items.to_string()), "{row}");
        }
    }

    #[test]
    fn what_differs_is_text() {
        let shape = |values: &[&str]| {
            let mut shape = Shape::default();
            let mut left = PartsLeft::default();
            values.iter().for_each(|value| shape.take(&serde_json::from_str(value).unwrap(), &mut left));
            shape
        };
        assert_eq!(shape(&["null"]), Shape::Nothing);
        assert_eq!(Shape::Nothing.data_type(), DataType::Null);
        assert_eq!(shape(&["1", "null", "2.5"]), Shape::Number);
        assert_eq!(shape(&["1", "18446744073709551615"]), Shape::Text);
        assert_eq!(shape(&["true", "1"]), Shape::Text);
        assert_eq!(shape(&["\"a\"", "[1]"]), Shape::Text);
        assert_eq!(shape(&["[1]", r#"{"a":1}"#]), Shape::Text);
        // what is empty does not say of what
        for empty in ["\"\"", "[]", "{}", "null"] {
            for value in ["[1]", r#"{"a":1}"#, "[{\"a\":[]}]"] {
                assert_eq!(shape(&[empty, value]), shape(&[value]), "{empty} {value}");
                assert_eq!(shape(&[value, empty]), shape(&[value]), "{value} {empty}");
            }
        }
        assert_eq!(shape(&["\"\"", "\"\""]), Shape::Blank);
        assert_eq!(shape(&["\"\"", "1"]), Shape::Text);
        assert_eq!(shape(&["1", "\"\""]), Shape::Text);
        assert_eq!(shape(&["[]", "[1,null]", "[2.5]"]), Shape::List(Box::new(Shape::Number)));
        assert_eq!(shape(&[r#"{"a":1}"#, r#"{"a":"x","b":[]}"#]).data_type().to_string().matches("Utf8").count(), 2);
    }

    #[test]
    fn long_numbers_keep_their_digits() {
        let value = |text: &str| -> Value {
            let line = format!("{{\"v\":{text}}}");
            let mut line: Value = serde_json::from_slice(&written_numbers::marked(line.as_bytes())).unwrap();
            line["v"].take()
        };
        let fitted = |values: &[&str]| {
            let mut shape = Shape::default();
            values.iter().for_each(|text| shape.take(&value(text), &mut PartsLeft::default()));
            values.iter().map(|text| shape.fit(value(text)).to_string()).collect::<Vec<_>>()
        };
        // numbers alone are numbers, beside anything else they are what was written
        assert_eq!(fitted(&["1.10", "2", "0.1234567890123456789"]), ["1.1", "2", "0.12345678901234568"]);
        assert_eq!(fitted(&["1.10", "\"1.2.3\""]), ["\"1.10\"", "\"1.2.3\""]);
        assert_eq!(fitted(&["18446744073709551616", "7"]), ["\"18446744073709551616\"", "\"7\""]);
        assert_eq!(fitted(&["1e400", "1.5"]), ["\"1e400\"", "\"1.5\""]);
        assert_eq!(fitted(&["[1.10,2]", "\"x\""]), ["\"1.10--**--2\"", "\"x\""]);
        assert_eq!(fitted(&["{\"a\":[1.10]}", "\"x\""]), [r#""{\"a\":[1.10]}""#, "\"x\""]);
        assert_eq!(fitted(&["[{\"a\":1.10}]", "[{\"a\":\"x\"}]", "\"\""])[0], r#"[{"a":"1.10"}]"#);
    }

    #[test]
    fn values_fit_their_shape() {
        let fit = |shape: &Shape, value: &str| shape.fit(serde_json::from_str(value).unwrap()).to_string();
        for (value, text) in [
            ("18446744073709551615", "\"18446744073709551615\""),
            ("[\"a\",\"b\"]", "\"a--**--b\""),
            ("[\"a\"]", "\"a\""),
            ("[1,null,true]", "\"1--**--true\""),
            ("[{\"a\":1}]", r#""[{\"a\":1}]""#),
            ("{\"a\":[1]}", r#""{\"a\":[1]}""#),
            ("1.5", "\"1.5\""),
            ("null", "null"),
        ] {
            assert_eq!(fit(&Shape::Text, value), text);
        }
        let mut object = Shape::default();
        object.hold(&wanted(&[&["user", "id"]]));
        assert_eq!(fit(&object, r#"{"user":7}"#), r#"{"user":null}"#);
        assert_eq!(fit(&object, r#"{"user":{"id":7}}"#), r#"{"user":{"id":"7"}}"#);
    }
}
