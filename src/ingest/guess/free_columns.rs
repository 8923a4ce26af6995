//! The columns of a file that have no place in the mapping yet, and how those that are looked for are found among them.

use super::column::{Column, is_same_name};
use super::headings::Sought;

/// Whether a column holds what it should.
pub(super) type Fit<'f> = &'f dyn Fn(&Column) -> bool;

/// How a column is looked for.
pub(super) enum By<'w> {
    /// By whole names, the likeliest first.
    Names(&'w [&'w str], Fit<'w>),
    /// By the words of headings, which parts of records do not have.
    Words(&'w Sought, Fit<'w>),
}

pub(super) struct FreeColumns<'a> {
    all: &'a [Column],
    /// The values of columns that have their place.
    taken: Vec<&'a str>,
}

impl<'a> FreeColumns<'a> {
    pub fn new(all: &'a [Column]) -> Self {
        Self { all, taken: vec![] }
    }

    /// Those and all others, also parts of records.
    pub fn all(&self) -> &'a [Column] {
        self.all
    }

    /// Gives a column its place.
    pub fn take(&mut self, column: &'a Column) {
        self.taken.push(&column.value);
    }

    /// Those that are no parts of records.
    pub fn free(&self) -> impl Iterator<Item = &'a Column> {
        self.all.iter().filter(move |column| !column.is_part && self.is_free(column))
    }

    pub fn is_free(&self, column: &Column) -> bool {
        !self.taken.contains(&column.value.as_str())
    }

    /// The first with one of these names, which gets its place.
    pub fn named(&mut self, names: &[&str]) -> Option<&'a Column> {
        self.first(&[By::Names(names, &|_| true)])
    }

    /// The first that is found, which gets its place.
    pub fn first(&mut self, ways: &[By<'_>]) -> Option<&'a Column> {
        let found = self.find(ways)?;
        self.take(found);
        Some(found)
    }

    /// The first that is found by the first of these ways. What says something comes before what is empty; what has parts
    /// is none of what is looked for.
    pub fn find(&self, ways: &[By<'_>]) -> Option<&'a Column> {
        [false, true].into_iter().find_map(|empty| ways.iter().find_map(|way| self.find_by(way, empty)))
    }

    fn find_by(&self, way: &By<'_>, empty: bool) -> Option<&'a Column> {
        let is_it = |column: &Column, fit: Fit<'_>| {
            self.is_free(column) && !column.has_parts() && fit(column) && column.is_empty() == empty
        };
        match way {
            // columns come before parts of them
            By::Names(names, fit) => [false, true].into_iter().find_map(|part| {
                names.iter().find_map(|name| {
                    let is_named = |c: &Column| c.plain.iter().any(|plain| is_same_name(plain, name));
                    self.all.iter().find(|c| c.is_part == part && is_named(c) && is_it(c, *fit))
                })
            }),
            By::Words(sought, fit) => {
                let ranked = self.all.iter().filter(|c| !c.is_part).filter_map(|c| Some((sought.rank(&c.words)?, c)));
                ranked.filter(|(_, c)| is_it(c, *fit)).min_by_key(|(rank, _)| *rank).map(|(_, c)| c)
            }
        }
    }
}
