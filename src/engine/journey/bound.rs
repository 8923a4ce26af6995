//! The product journeys of a visitor whose values are bound to products.

use super::JourneySpec;
use super::items::Items;
use crate::attribution::Bindings;

/// The product journeys of the visitor at hand.
pub(super) struct BoundState {
    pub bindings: Bindings,
    pub products: Items,
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
