//! Memory of readers: what they hold of files is asked for before it is taken.
//!
//! Of the pool while that is half empty; then of a little that all readers of the process share beside the pools, as what fills
//! a pool may be waiting for their rows (a sort spills when more come); then of the rest of the pool. Who finds none waits while
//! memory comes and goes, and is refused when nothing moves any more. Who opens many files at once waits for the half of the pool,
//! and takes of its rest before anything beside it, see `range_memory`. What is not yet wanted takes no more than a quarter of the
//! pool, so that nobody waits for it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use tokio::time::sleep;

/// What the decoder of a column takes besides its rows, most of it for decompression (measured).
pub(super) const DECODER_BYTES: usize = 96 << 10;

/// What all readers of this process may hold beside the pools, bytes. One of them alone may hold any amount.
const BESIDE_BYTES: usize = 128 << 20;

/// A reader without memory looks again after so long, and gives up after so many looks at which nothing had moved.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: usize = 50;

/// Who takes what a pool has left leaves one of so many parts of it to others.
const LITTLE_PART: usize = 16;

static BESIDE: BesidePools = BesidePools::new();

/// What these parts of a file and their decoders take, bytes.
pub(super) fn needed(ranges: &[Range<u64>]) -> usize {
    let of = |range: &Range<u64>| {
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        decoded(bytes)
    };
    ranges.iter().map(of).fold(0, usize::saturating_add)
}

/// What so many bytes of a column take together with its decoder. Few take little to decode.
pub(super) fn decoded(bytes: usize) -> usize {
    bytes.saturating_add(bytes.saturating_mul(2).min(DECODER_BYTES))
}

/// True where no more than one of so many parts of the pool is taken with these bytes.
pub(super) fn has_left(pool: &Arc<dyn MemoryPool>, bytes: usize, parts: usize) -> bool {
    match pool.memory_limit() {
        MemoryLimit::Finite(limit) => pool.reserved().saturating_add(bytes) <= limit / parts,
        MemoryLimit::Infinite | MemoryLimit::Unknown => true,
    }
}

/// What readers hold beside the pools.
struct BesidePools(AtomicUsize);

impl BesidePools {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// True when there was room for so many bytes more, or nobody else holds any.
    fn take(&self, bytes: usize) -> bool {
        let within = |taken: usize| {
            let sum = taken.saturating_add(bytes);
            (taken == 0 || sum <= BESIDE_BYTES).then_some(sum)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The memory of one reader.
pub(super) struct ReaderMemory {
    pool: Arc<dyn MemoryPool>,
    /// What it holds of the pool.
    reservation: MemoryReservation,
    /// What it holds beside it.
    bytes_beside: usize,
    beside: &'static BesidePools,
}

impl ReaderMemory {
    /// Nothing yet, of this pool.
    pub fn of(pool: Arc<dyn MemoryPool>) -> Self {
        Self::new(pool, &BESIDE)
    }

    /// So many bytes for what is not yet wanted; None where the pool has little left.
    pub fn spare(pool: Arc<dyn MemoryPool>, bytes: usize) -> Option<Self> {
        let held = Self::of(pool);
        (has_left(&held.pool, bytes, 4) && held.reservation.try_grow(bytes).is_ok()).then_some(held)
    }

    fn new(pool: Arc<dyn MemoryPool>, beside: &'static BesidePools) -> Self {
        let reservation = MemoryConsumer::new("a file that is read").register(&pool);
        Self { pool, reservation, bytes_beside: 0, beside }
    }

    /// Holds so many bytes in place of what was held before.
    ///
    /// # Errors
    /// There is no memory, and none comes and goes.
    pub async fn hold(&mut self, bytes: usize) -> datafusion::error::Result<()> {
        self.release();
        let mut moves = StallCheck::default();
        loop {
            if self.takes_of_half(bytes) {
                return Ok(());
            }
            if self.beside.take(bytes) {
                self.bytes_beside = bytes;
                return Ok(());
            }
            let Err(error) = self.reservation.try_grow(bytes) else { return Ok(()) };
            if !moves.go_on(self.all_held(), LOOKS) {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Holds so many bytes in place of what was held before, when that half of the pool has them which readers take first. False,
    /// and nothing is held, where nobody is to be waited for, as `goes_on` says, or nothing has moved for so many looks.
    pub async fn hold_in_turn(&mut self, bytes: usize, looks: usize, goes_on: impl Fn() -> bool) -> bool {
        self.release();
        let mut moves = StallCheck::default();
        loop {
            if self.takes_of_half(bytes) {
                return true;
            }
            if goes_on() || !moves.go_on(self.all_held(), looks) {
                return false;
            }
            sleep(PAUSE).await;
        }
    }

    /// Holds so many bytes of the pool in place of what was held before, when a little is left to others then; else nothing.
    pub fn hold_of_rest(&mut self, bytes: usize) -> bool {
        self.release();
        let little = match self.pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / LITTLE_PART,
            MemoryLimit::Infinite | MemoryLimit::Unknown => 0,
        };
        has_left(&self.pool, bytes.saturating_add(little), 1) && self.reservation.try_grow(bytes).is_ok()
    }

    /// So many bytes of what it holds of the pool, or what there is of it, to be held apart.
    pub fn split(&mut self, bytes: usize) -> MemoryReservation {
        self.reservation.split(bytes.min(self.reservation.size()))
    }

    fn takes_of_half(&self, bytes: usize) -> bool {
        has_left(&self.pool, bytes, 2) && self.reservation.try_grow(bytes).is_ok()
    }

    /// What is taken of the pool, and beside the pools.
    fn all_held(&self) -> (usize, usize) {
        (self.pool.reserved(), self.beside.taken())
    }

    /// Gives back all that it holds.
    pub fn release(&mut self) {
        self.reservation.free();
        self.beside.0.fetch_sub(std::mem::take(&mut self.bytes_beside), Ordering::Relaxed);
    }
}

/// Looks at memory that others hold.
#[derive(Default)]
struct StallCheck {
    before: (usize, usize),
    looks: usize,
}

impl StallCheck {
    /// False where what is held now has been the same at more than so many looks.
    fn go_on(&mut self, now: (usize, usize), most: usize) -> bool {
        self.looks = if now == self.before { self.looks + 1 } else { 0 };
        self.before = now;
        self.looks <= most
    }
}

impl Drop for ReaderMemory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;

    use datafusion::error::DataFusionError;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use futures::future::{Either, select};

    use super::*;

    #[test]
    fn parts_and_their_decoders() {
        assert_eq!(needed(&[]), 0);
        assert_eq!(needed(&[0..1_000, 5_000..5_010]), 3_030);
        assert_eq!(needed(std::slice::from_ref(&(7..7 + (64 << 20)))), (64 << 20) + DECODER_BYTES);
    }

    #[tokio::test]
    async fn readers_wait_for_each_other_and_one_goes_on() {
        static SHARED: BesidePools = BesidePools::new();
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let reader = || ReaderMemory::new(pool.clone(), &SHARED);
        let held = || (pool.reserved(), SHARED.taken());
        let mut first = reader();
        first.hold(40).await.unwrap();
        // what it held before is given back first
        first.hold(45).await.unwrap();
        assert_eq!(held(), (45, 0));
        // one goes on beside the pool, however much it needs
        let mut second = reader();
        second.hold(2 * BESIDE_BYTES).await.unwrap();
        assert_eq!(held(), (45, 2 * BESIDE_BYTES));
        // then the rest of the pool
        let mut third = reader();
        third.hold(50).await.unwrap();
        assert_eq!(held(), (95, 2 * BESIDE_BYTES));
        let refused = reader().hold(20).await.unwrap_err();
        assert!(matches!(refused, DataFusionError::ResourcesExhausted(_)), "{refused}");
        // another one waits for what the first one leaves
        let mut fourth = reader();
        let leaving = async {
            sleep(10 * PAUSE).await;
            drop(first);
        };
        let (waited, ()) = futures::join!(fourth.hold(20), leaving);
        waited.unwrap();
        assert_eq!(held(), (70, 2 * BESIDE_BYTES));
        drop((second, third, fourth));
        assert_eq!(held(), (0, 0));
    }

    #[tokio::test]
    async fn who_can_wait_takes_half_of_the_pool() {
        static SHARED: BesidePools = BesidePools::new();
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let reader = || ReaderMemory::new(pool.clone(), &SHARED);
        let mut first = reader();
        assert!(first.hold_in_turn(30, 3, || true).await);
        let mut second = reader();
        // nobody to wait for, or nobody who moves
        assert!(!second.hold_in_turn(30, 1_000, || true).await);
        assert!(!second.hold_in_turn(30, 3, || false).await);
        assert_eq!((pool.reserved(), SHARED.taken()), (30, 0));
        let leaving = async {
            sleep(3 * PAUSE).await;
            drop(first);
        };
        let (waited, ()) = futures::join!(second.hold_in_turn(30, 1_000, || false), leaving);
        assert!(waited);
        assert_eq!((pool.reserved(), SHARED.taken()), (30, 0));
        // others come and go, and are always sooner, until it goes on
        let looks = AtomicUsize::new(0);
        let mut third = reader();
        let others = async {
            for bytes in [20, 30, 25].into_iter().cycle() {
                second.hold(bytes).await.unwrap();
                sleep(PAUSE).await;
            }
        };
        let others = pin!(others);
        let waits = pin!(third.hold_in_turn(35, 5, || looks.fetch_add(1, Ordering::Relaxed) == 30));
        let waited = select(waits, others).await;
        assert!(matches!(waited, Either::Left((false, _))));
    }

    #[tokio::test]
    async fn what_is_not_yet_wanted_takes_a_quarter() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let first = ReaderMemory::spare(pool.clone(), 20).unwrap();
        assert!(ReaderMemory::spare(pool.clone(), 6).is_none());
        let second = ReaderMemory::spare(pool.clone(), 5).unwrap();
        assert_eq!(pool.reserved(), 25);
        drop((first, second));
        let mut wanted = ReaderMemory::of(pool.clone());
        wanted.hold(30).await.unwrap();
        assert!(ReaderMemory::spare(pool.clone(), 1).is_none());
    }
}
