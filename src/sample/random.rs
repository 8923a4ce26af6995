//! Deterministic draws: the same numbers from the same seed on every machine, for ever.
//!
//! SplitMix64 and integer arithmetic only; no crate whose next version could draw differently, no floating point.

/// Spreads a pair of numbers over 64 bits; the finaliser of SplitMix64.
pub fn mix(seed: u64, value: u64) -> u64 {
    let mut z = seed ^ value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A SplitMix64 stream.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0, 0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        (((self.next() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// True in `per_mille` of 1,000 draws.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille
    }

    /// One of `values`, all alike.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u32) as usize]
    }
}

/// Ranks whose frequency falls as 1 / rank, as pages, products and campaigns do.
#[derive(Debug)]
pub struct Zipf(Vec<u32>);

impl Zipf {
    /// Ranks from 0 to `ranks - 1`.
    pub fn new(ranks: usize) -> Self {
        let mut sum = 0;
        Self((1..=ranks as u32).map(|rank| (sum += 1_000_000 / rank, sum).1).collect())
    }

    /// A rank.
    pub fn pick(&self, random: &mut Random) -> usize {
        let total = self.0.last().copied().unwrap_or(1);
        let at = random.below(total);
        self.0.partition_point(|&end| end <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut random = Random::new(42);
        let drawn: Vec<u32> = (0..6).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, [653, 193, 336, 374, 657, 856]);
    }

    #[test]
    fn the_first_rank_is_the_most_frequent() {
        let (zipf, mut random) = (Zipf::new(50), Random::new(7));
        let mut seen = [0u32; 50];
        (0..20_000).for_each(|_| seen[zipf.pick(&mut random)] += 1);
        assert!(seen[0] > seen[4] && seen[4] > seen[40] && seen[49] > 0, "{seen:?}");
    }
}
