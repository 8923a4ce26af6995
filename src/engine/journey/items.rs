//! Items by number: names in, dense numbers out; a dictionary's entry is looked up once, not once a row.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::Result;

use super::seeded::Seed;
use super::terms::same_values;
use crate::feed::caret::{join_list, list_values};
use crate::functions::Classes;

/// A text column, as a dictionary where the file has one.
#[derive(Debug)]
pub(super) enum Text {
    /// Row `r` is `values[codes[r]]`.
    Dictionary { codes: Int32Array, values: ArrayRef },
    /// One string a row.
    Plain(StringArray),
}

impl Text {
    /// Of a column of any type that reads as text.
    pub fn of(column: &ArrayRef) -> Result<Self> {
        if let DataType::Dictionary(key, value) = column.data_type()
            && (key.as_ref(), value.as_ref()) == (&DataType::Int32, &DataType::Utf8)
        {
            let dictionary = column.as_dictionary::<Int32Type>();
            return Ok(Self::Dictionary { codes: dictionary.keys().clone(), values: dictionary.values().clone() });
        }
        // a cast to the type that a column already has costs nothing
        Ok(Self::Plain(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()))
    }

    /// False where the row has no value.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::Dictionary { codes, .. } => codes.is_valid(row),
            Self::Plain(values) => values.is_valid(row),
        }
    }

    /// True when every row has a value.
    pub fn all_valid(&self) -> bool {
        match self {
            Self::Dictionary { codes, .. } => codes.null_count() == 0,
            Self::Plain(values) => values.null_count() == 0,
        }
    }

    /// False when no row has a value.
    pub fn any_valid(&self) -> bool {
        match self {
            Self::Dictionary { codes, .. } => codes.null_count() < codes.len(),
            Self::Plain(values) => values.null_count() < values.len(),
        }
    }

    /// The codes of a dictionary, where every row has a value.
    pub fn codes(&self) -> Option<&[i32]> {
        match self {
            Self::Dictionary { codes, .. } if codes.null_count() == 0 => Some(codes.values()),
            _ => None,
        }
    }

    /// The text of a row that has one.
    pub fn value(&self, row: usize) -> &str {
        match self {
            Self::Dictionary { codes, values } => values.as_string::<i32>().value(codes.value(row) as usize),
            Self::Plain(values) => values.value(row),
        }
    }

    /// True when two rows have the same value, or both have none.
    pub fn same(&self, a: usize, b: usize) -> bool {
        if self.codes().is_some_and(|codes| codes[a] == codes[b]) {
            return true;
        }
        match (self.is_valid(a), self.is_valid(b)) {
            (true, true) => self.value(a) == self.value(b),
            (one, other) => one == other,
        }
    }
}

/// The items that have been met. Every row group brings their names again.
#[derive(Debug, Default)]
pub(super) struct Items {
    numbers: HashMap<Arc<str>, u32, Seed>,
    names: Vec<Arc<str>>,
    bytes: usize,
}

impl Items {
    /// The number of an item, a new one if it is met for the first time.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        let name: Arc<str> = Arc::from(name);
        // the text with its counts, a place in the list and one in the table
        self.bytes += name.len() + 64;
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The number of an item that has been met.
    pub fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Names by number.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

/// The numbers of one column's items: remembers what the entries of the dictionary at hand mean.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// What becomes of the values.
    classes: Option<Classes>,
    dictionary: Option<ArrayRef>,
    /// Per entry its item; or [`LIST`] and a place in `lists`, where it has none or several; or [`UNKNOWN`].
    entries: Vec<u32>,
    /// Ranges of `listed`.
    lists: Vec<(u32, u32)>,
    listed: Vec<u32>,
}

/// An entry that was not looked up yet; it has the bit of a list.
const UNKNOWN: u32 = u32::MAX;
/// Set in entries that are lists.
const LIST: u32 = 1 << 31;

impl Codes {
    /// Of a column whose values' classes are the items.
    pub fn of_classes(classes: Option<Classes>) -> Self {
        Self { classes, ..Self::default() }
    }

    /// Turns to another column, or another batch of the same.
    pub fn turn_to(&mut self, text: &Text) {
        let Text::Dictionary { values, .. } = text else {
            self.dictionary = None;
            return;
        };
        if !self.dictionary.as_ref().is_some_and(|known| same_values(known, values)) {
            self.dictionary = Some(values.clone());
            self.listed.clear();
            self.lists.clear();
            self.entries.clear();
            self.entries.resize(values.len(), UNKNOWN);
        }
    }

    /// The items of a row of the column that was turned to; none where it has no value. With `multi`, the value is a list.
    // a call for each row takes longer than what is done
    #[inline(always)]
    pub fn items_of<'c>(&'c mut self, text: &Text, row: usize, items: &mut Items, multi: bool) -> &'c [u32] {
        if !text.is_valid(row) {
            return &[];
        }
        // most entries have one item and are known: nothing else need be in the cache
        if let Text::Dictionary { codes, .. } = text {
            let code = codes.value(row) as usize;
            if self.entries[code] & LIST == 0 {
                return std::slice::from_ref(&self.entries[code]);
            }
        }
        self.other_items_of(text, row, items, multi)
    }

    /// Adds the items of some rows to `all`, where the column is a dictionary, each of them has one, and its entry is known; else adds
    /// nothing and is false.
    #[inline]
    pub fn add_known_items(&self, text: &Text, rows: Range<usize>, all: &mut Vec<u32>) -> bool {
        let Some(codes) = text.codes() else { return false };
        let before = all.len();
        all.extend(codes[rows].iter().map(|code| self.entries[*code as usize]));
        // looked at together, which takes less time than one by one
        let are_known = all[before..].iter().fold(0_u32, |any, item| any | *item) & LIST == 0;
        if !are_known {
            all.truncate(before);
        }
        are_known
    }

    fn other_items_of<'c>(&'c mut self, text: &Text, row: usize, items: &mut Items, multi: bool) -> &'c [u32] {
        let (codes, values) = match text {
            Text::Dictionary { codes, values } => (codes, values),
            Text::Plain(values) => {
                self.listed.clear();
                self.list(values.value(row), items, multi);
                return &self.listed;
            }
        };
        let code = codes.value(row) as usize;
        if self.entries[code] == UNKNOWN {
            self.entries[code] = self.look_up(values.as_string::<i32>().value(code), items, multi);
        }
        match self.entries[code] {
            list if list & LIST != 0 => {
                let (start, end) = self.lists[(list ^ LIST) as usize];
                &self.listed[start as usize..end as usize]
            }
            _ => std::slice::from_ref(&self.entries[code]),
        }
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        (self.entries.capacity() + 2 * self.lists.capacity() + self.listed.capacity()) * size_of::<u32>()
    }

    fn look_up(&mut self, text: &str, items: &mut Items, multi: bool) -> u32 {
        let start = self.listed.len();
        self.list(text, items, multi);
        if let [item] = self.listed[start..] {
            self.listed.truncate(start);
            return item;
        }
        self.lists.push((start as u32, self.listed.len() as u32));
        LIST | (self.lists.len() - 1) as u32
    }

    /// Appends the items of a text to `listed`.
    fn list(&mut self, text: &str, items: &mut Items, multi: bool) {
        match (&self.classes, multi) {
            (None, false) => self.listed.push(items.number(text)),
            (None, true) => self.listed.extend(list_values(text).map(|value| items.number(&value))),
            (Some(classes), false) => self.listed.push(items.number(&classes.of(text))),
            (Some(classes), true) => {
                let values: Vec<_> = list_values(text).collect();
                let mut cell = String::new();
                let own: Vec<_> = values.iter().map(|value| classes.of(value)).collect();
                join_list(own.iter().map(|class| &**class), &mut cell);
                self.listed.extend(list_values(&cell).map(|class| items.number(&class)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::DictionaryArray;

    use super::*;

    fn dictionary(values: &[Option<&str>]) -> Text {
        let array: DictionaryArray<Int32Type> = values.iter().copied().collect();
        Text::of(&(Arc::new(array) as ArrayRef)).unwrap()
    }

    #[test]
    fn dictionaries_and_strings_name_the_same_items() {
        let rows = [Some("b"), None, Some("a--**--b"), Some("b"), Some("")];
        let (mut items, mut codes) = (Items::default(), Codes::default());
        for text in [dictionary(&rows), Text::Plain(StringArray::from(rows.to_vec())), dictionary(&rows)] {
            codes.turn_to(&text);
            let found: Vec<Vec<u32>> = (0..5).map(|r| codes.items_of(&text, r, &mut items, true).to_vec()).collect();
            assert_eq!(found, [vec![0], vec![], vec![1, 0], vec![0], vec![]]);
            assert!(text.same(0, 3) && !text.same(0, 1) && text.same(1, 1));
        }
        let single = dictionary(&[Some("b"), Some("a"), Some("b"), Some("a--**--b")]);
        codes.turn_to(&single);
        let mut all = vec![7];
        // none is known yet, then all are, but for a list; and of a column that is no dictionary none
        assert!(!codes.add_known_items(&single, 0..3, &mut all));
        let counts: Vec<usize> = (0..4).map(|row| codes.items_of(&single, row, &mut items, true).len()).collect();
        assert_eq!(counts, [1, 1, 1, 2]);
        assert!(codes.add_known_items(&single, 0..3, &mut all) && codes.add_known_items(&single, 2..2, &mut all));
        assert!(!codes.add_known_items(&single, 1..4, &mut all));
        assert!(!codes.add_known_items(&dictionary(&rows), 0..1, &mut all));
        assert!(!codes.add_known_items(&Text::Plain(StringArray::from(vec!["b"])), 0..1, &mut all));
        assert_eq!(all, [7, 0, 1, 0]);
        let other = dictionary(&[Some("a--**--b")]);
        codes.turn_to(&other);
        assert_eq!(codes.items_of(&other, 0, &mut items, false), [2]);
        assert_eq!(items.names().iter().map(|n| &**n).collect::<Vec<_>>(), ["b", "a", "a--**--b"]);
    }
}
