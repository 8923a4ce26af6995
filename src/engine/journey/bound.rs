//! Rows whose product lines bind values: columns in, the journeys of products out.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray};
use arrow::datatypes::Float64Type;
use datafusion::error::{DataFusionError, Result};

use super::JourneySpec;
use super::columns::{Columns, Visits};
use super::items::Items;
use super::walk::Walk;
use crate::attribution::{Bindings, Line, NONE};

/// The product lines of a batch.
#[derive(Debug)]
pub(super) struct BoundLines {
    lists: ListArray,
    products: StringArray,
    values: StringArray,
    amounts: Float64Array,
}

impl BoundLines {
    /// Of lists of a product, the value bound to it, and its amount.
    pub fn new(column: &ArrayRef) -> Result<Self> {
        let lists = column.as_list_opt::<i32>().cloned();
        let lists = lists.ok_or_else(|| DataFusionError::Internal("product lines are a list".into()))?;
        let lines = lists.values().as_struct();
        let [products, values] = [0, 1].map(|n| lines.column(n).as_string::<i32>().clone());
        let amounts = lines.column(2).as_primitive::<Float64Type>().clone();
        Ok(Self { lists, products, values, amounts })
    }

    /// The lines of a row.
    fn of(&self, row: usize) -> Range<usize> {
        match self.lists.is_valid(row) {
            true => self.lists.value_offsets()[row] as usize..self.lists.value_offsets()[row + 1] as usize,
            false => 0..0,
        }
    }
}

/// The product journeys of the visitor at hand.
pub(super) struct BoundState {
    pub bindings: Bindings,
    products: Items,
}

impl BoundState {
    /// For journeys of bound values.
    pub fn new(spec: &JourneySpec) -> Option<Self> {
        let rules = spec.bound.clone()?;
        let bindings = Bindings::new(rules, spec.container, spec.lookback_us);
        Some(Self { bindings, products: Items::default() })
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.bindings.memory_bytes() + self.products.memory_bytes()
    }
}

impl Walk {
    /// Takes rows of the current visitor. Rows have numbers, from 0.
    pub(super) fn bound_rows(&mut self, columns: &Columns, range: Range<usize>) {
        let (Some(state), Some(lines)) = (&mut self.bound, &columns.bound) else { return };
        let in_visits = !matches!(columns.visits, Visits::Untold);
        for row in range {
            let (time, value, number) = (columns.time(row), columns.value(row), self.rows);
            self.rows += 1;
            if let Some(place) = columns.anchor(row) {
                self.counts.conversions.add(usize::from(state.bindings.anchor(number, place, value)));
                continue;
            }
            let visit = if in_visits { self.visits.of(&columns.visits, time, row) } else { 0 };
            let own = lines.of(row).map(|n| {
                let known = |texts: &StringArray, items: &mut Items| match texts.is_valid(n) {
                    true => items.number(texts.value(n)),
                    false => NONE,
                };
                Line {
                    product: known(&lines.products, &mut state.products),
                    value: known(&lines.values, &mut self.items),
                    amount: lines.amounts.is_valid(n).then(|| lines.amounts.value(n)),
                }
            });
            state.bindings.row(number, (time, columns.sequence(row)), visit, own);
            self.counts.conversions.add(usize::from(state.bindings.convert(number, time, value)));
            if columns.ends_bindings(row) {
                state.bindings.end();
            }
        }
    }

    /// Hands out the credit of a visitor whose values are bound, and forgets it.
    pub(super) fn close_bound(&mut self) {
        let Some(BoundState { bindings, .. }) = &mut self.bound else { return };
        if self.all_visitors || bindings.conversions() > 0 {
            bindings.settle();
            bindings.credit(&mut self.models, self.all_visitors.then_some(&mut self.paths));
        }
        bindings.clear();
        self.rows = 0;
        self.visits.clear();
    }
}
