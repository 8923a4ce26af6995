//! A running sum with about 106 bits: exact for integers, and without loss when large terms leave it again.
//!
//! Participation with a lookback and evenly spread shares are differences of running sums. In a plain double, a small
//! conversion after large ones would vanish in such a difference; here it does not.

use std::ops::{AddAssign, SubAssign};

/// An unevaluated sum of two doubles, the second below half a unit in the last place of the first.
///
/// Terms must be finite; a sum beyond the range of a double is not a number any more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    /// The sum, rounded to a double.
    #[inline]
    pub fn value(self) -> f64 {
        self.high
    }

    /// The two doubles that it is kept in, the larger one first: all of it, to be stored.
    pub fn parts(self) -> [f64; 2] {
        [self.high, self.low]
    }

    /// The sum of two doubles; of those that [`Sum::parts`] gave, the same bits again.
    pub fn of_parts([high, low]: [f64; 2]) -> Self {
        let mut sum = Self { high, low: 0.0 };
        sum += low;
        sum
    }
}

impl AddAssign<f64> for Sum {
    #[inline]
    fn add_assign(&mut self, term: f64) {
        let (high, error) = two_sum(self.high, term);
        *self = renormalised(high, error + self.low);
    }
}

impl SubAssign<f64> for Sum {
    #[inline]
    fn sub_assign(&mut self, term: f64) {
        *self += -term;
    }
}

impl AddAssign for Sum {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        let (high, error) = two_sum(self.high, other.high);
        let (low, low_error) = two_sum(self.low, other.low);
        let partial = renormalised(high, error + low);
        *self = renormalised(partial.high, partial.low + low_error);
    }
}

impl SubAssign for Sum {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self += Self { high: -other.high, low: -other.low };
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        terms.into_iter().for_each(|term| sum += term);
        sum
    }
}

/// Knuth's sum and its exact rounding error.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// Dekker's step: `low` is smaller than `high` here.
#[inline]
fn renormalised(high: f64, low: f64) -> Sum {
    let sum = high + low;
    Sum { high: sum, low: low - (sum - high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        let mut sum = Sum::default();
        for _ in 0..1000 {
            sum += 1e15;
            sum += 1e-3;
        }
        for _ in 0..1000 {
            sum -= 1e15;
        }
        assert!((sum.value() - 1.0).abs() < 1e-12, "{sum:?}");
        let total: Sum = [0.1; 10].into_iter().collect();
        assert_eq!(total.value(), 1.0);
    }

    #[test]
    fn what_was_written_down_is_the_same_sum() {
        let mut sum = Sum::default();
        for term in [1e15, 0.1, -3.7, 1e-9, 0.0, -1e15, 7.0 / 3.0] {
            sum += term;
            assert_eq!(Sum::of_parts(sum.parts()), sum);
        }
        assert_ne!(sum.parts()[1], 0.0);
        assert_eq!(Sum::of_parts([1.0, 1.0]).value(), 2.0);
    }

    #[test]
    fn differences_of_integer_sums_are_exact() {
        let mut prefix = vec![Sum::default()];
        for i in 0..1000u32 {
            let mut next = prefix[i as usize];
            next += f64::from(i) * 4_503_599_627.0;
            prefix.push(next);
        }
        let mut difference = prefix[1000];
        difference -= prefix[999];
        assert_eq!(difference.value(), 999.0 * 4_503_599_627.0);
    }
}
