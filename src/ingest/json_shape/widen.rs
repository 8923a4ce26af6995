//! A shape fits one more value: what differs is text, and so is an object whose keys are values, such as the numbers of articles.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Shape, double};
use crate::feed::written_numbers;

/// An object with more different parts in its rows is text: its keys are values, and each would be a column.
const MAX_PARTS: usize = 1_000;
/// Parts in all of a file beneath the names of its rows; what would have more is text as well. So many names rows have at most.
const MAX_ALL_PARTS: usize = 20_000;

/// How many parts a file's shape may still get.
#[derive(Debug)]
pub struct PartsLeft(usize);

impl Default for PartsLeft {
    fn default() -> Self {
        Self(MAX_ALL_PARTS)
    }
}

impl Shape {
    /// Makes the shape of rows fit one more. Of too many different names of rows those that come last are left out.
    pub fn take_row(&mut self, row: &Value, left: &mut PartsLeft) {
        let (Self::Object(parts), Value::Object(object)) = (self, row) else { return };
        for (name, value) in object {
            if let Some(part) = parts.get_mut(name) {
                part.take(value, left);
            } else if parts.len() < MAX_ALL_PARTS {
                parts.insert(name.clone(), Self::of(value, left));
            }
        }
    }

    /// Makes the shape fit one more value.
    pub fn take(&mut self, value: &Value, left: &mut PartsLeft) {
        match (&mut *self, value) {
            (_, Value::Null) | (Self::Text, _) => {}
            // what is empty does not say of what
            (Self::Blank | Self::List(_) | Self::Object(_), Value::String(text)) if text.is_empty() => {}
            (Self::Nothing, Value::String(text)) if text.is_empty() => *self = Self::Blank,
            (Self::List(item), Value::Object(object)) if **item == Self::Nothing && !object.is_empty() => {
                *self = Self::Object(BTreeMap::new());
                self.take(value, left);
            }
            (Self::List(_), Value::Object(object)) if object.is_empty() => {}
            (Self::Object(parts), Value::Array(values)) if parts.is_empty() && !values.is_empty() => {
                *self = Self::List(Box::default());
                self.take(value, left);
            }
            (Self::Object(_), Value::Array(values)) if values.is_empty() => {}
            (Self::Object(parts), Value::Object(object)) => {
                let is_whole = take_parts(parts, object, left);
                if !is_whole || parts.len() > MAX_PARTS {
                    left.0 += self.count();
                    *self = Self::Text;
                }
            }
            (Self::List(item), Value::Array(values)) => values.iter().for_each(|value| item.take(value, left)),
            (Self::Nothing | Self::Blank, Value::Object(_)) => {
                *self = Self::Object(BTreeMap::new());
                self.take(value, left);
            }
            (Self::Nothing | Self::Blank, Value::Array(_)) => {
                *self = Self::List(Box::default());
                self.take(value, left);
            }
            (former, value) => {
                let new = Self::of_scalar(value);
                let both = match (&*former, new) {
                    (Self::Nothing, new) => new,
                    (Self::Whole, Self::Number) | (Self::Number, Self::Whole) => Self::Number,
                    (former, new) if *former == new => return,
                    _ => Self::Text,
                };
                *self = both;
            }
        }
    }

    fn of(value: &Value, left: &mut PartsLeft) -> Self {
        let mut shape = Self::Nothing;
        shape.take(value, left);
        shape
    }

    /// How many parts there are beneath it.
    fn count(&self) -> usize {
        match self {
            Self::Object(parts) => parts.len() + parts.values().map(Self::count).sum::<usize>(),
            Self::List(item) | Self::NoList(item) => item.count(),
            _ => 0,
        }
    }

    fn of_scalar(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Flag,
            Value::Number(number) if number.is_i64() => Self::Whole,
            // an integer that no i64 holds would lose digits as a number
            Value::Number(number) if number.is_u64() => Self::Text,
            Value::Number(_) => Self::Number,
            Value::String(text) => match written_numbers::number(text) {
                Some(number) if number.contains(['.', 'e', 'E']) && double(number).is_some() => Self::Number,
                _ => Self::Text,
            },
            _ => Self::Text,
        }
    }
}

/// Makes the parts fit those of an object. False where there are too many.
fn take_parts(parts: &mut BTreeMap<String, Shape>, object: &Map<String, Value>, left: &mut PartsLeft) -> bool {
    for (name, value) in object {
        if let Some(part) = parts.get_mut(name) {
            part.take(value, left);
        } else if left.0 > 0 {
            left.0 -= 1;
            parts.insert(name.clone(), Shape::of(value, left));
        } else {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An object with `count` keys of its own in each of its rows.
    fn objects(rows: usize, count: usize) -> Vec<Value> {
        let object = |row: usize| {
            let parts = (0..count).map(|key| (format!("k{row}_{key}"), json!(key)));
            json!({"id": row, "cart": parts.collect::<Map<String, Value>>()})
        };
        (0..rows).map(object).collect()
    }

    fn shape(rows: &[Value]) -> Shape {
        let (mut shape, mut left) = (Shape::Object(BTreeMap::new()), PartsLeft::default());
        rows.iter().for_each(|row| shape.take_row(row, &mut left));
        shape
    }

    #[test]
    fn keys_that_are_values_make_a_text() {
        let few = objects(10, 100);
        assert!(matches!(shape(&few).part("cart"), Some(Shape::Object(parts)) if parts.len() == 1000));
        let rows = objects(11, 100);
        let shape = shape(&rows);
        assert_eq!((shape.part("cart"), shape.part("id")), (Some(&Shape::Text), Some(&Shape::Whole)));
        // nothing of it is lost
        let row = shape.fit(json!({"id": 7, "cart": {"a": [1], "b": 1.5}, "other": 1}));
        assert_eq!(row, json!({"id": 7, "cart": "{\"a\":[1],\"b\":1.5}"}));
    }

    #[test]
    fn all_parts_of_a_file_are_few() {
        // many objects, each with few keys
        let row: Map<String, Value> = (0..300).map(|n| (format!("o{n}"), json!({"a": n}))).collect();
        let nested: Map<String, Value> = (0..100).map(|n| (format!("n{n}"), Value::Object(row.clone()))).collect();
        let shape = shape(&[json!({"id": 1}), Value::Object(nested), json!({"late": 1})]);
        assert!(shape.part("id").is_some() && shape.count() <= MAX_ALL_PARTS + 102, "{}", shape.count());
        assert_eq!(shape.part("n99"), Some(&Shape::Text));
    }
}
