//! A user's part of the memory that all users share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// What one user's statements take, at most `at_most` bytes of `whole`.
#[derive(Debug)]
pub struct Share {
    whole: Arc<dyn MemoryPool>,
    taken: AtomicUsize,
    at_most: usize,
}

impl Share {
    /// A share of which nothing is taken.
    pub fn new(whole: Arc<dyn MemoryPool>, at_most: usize) -> Self {
        Self { whole, taken: AtomicUsize::new(0), at_most }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "share of {} bytes", self.at_most)
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "share"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.whole.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.whole.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.taken.fetch_add(additional, Ordering::Relaxed);
        self.whole.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.taken.fetch_sub(shrink, Ordering::Relaxed);
        self.whole.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let within = |taken: usize| taken.checked_add(additional).filter(|&sum| sum <= self.at_most);
        if let Err(taken) = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            return Err(resources_datafusion_err!(
                "this user's statements hold {taken} bytes, {} needs {additional} more, and --memory-per-user is {}",
                reservation.consumer().name(),
                self.at_most
            ));
        }
        self.whole.try_grow(reservation, additional).inspect_err(|_| {
            self.taken.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.at_most)
    }
}
