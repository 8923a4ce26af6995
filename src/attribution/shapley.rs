//! The algorithmic model: Shapley values of games whose worth is what was observed on converting and non-converting paths.
//!
//! In the game of a path with the set of items T, the worth of a coalition S of T is the highest conversion rate that any
//! part of S was observed to reach alone: `w(S) = max { rate(U) : U of S, U observed }`, `w({}) = 0`, where `rate(U)` is
//! the conversions' sum of amounts (their sign left out) over the number of paths that saw exactly the items U, converting
//! or not. Coalitions that nobody saw are thus worth what their best observed part is, and no item makes a coalition
//! worse. The Shapley values of the items, the sums of the Harsanyi dividends of their coalitions in equal parts,
//! normalised to 1, are the shares of each conversion on such a path.
//!
//! This is Shapley attribution by conversion rates of coalitions (Dalessandro et al. 2012, "Causally motivated attribution
//! for online advertising"; Zhao et al. 2018, "Shapley value methods for attribution modeling") played per path, so that
//! every conversion is shared among the items in its reach only, as in all other models, and credit sums to the
//! conversions' values. An item without effect (a dummy) has the share 0, items with the same effect have the same share.
//! A refund is a path like a sale, and its negative value takes the same shares: it takes back what a sale would give.
//!
//! Exact for paths of up to [`EXACT_ITEMS`] items; for longer ones (up to [`super::LARGEST_PATH`]) orders of the items
//! are drawn by a generator with a fixed seed, each in all its rotations and their reverses, and symmetric items share alike.

use std::collections::HashMap;

use super::credit::ItemCredits;
use super::paths::{PathCount, PathCounts};
use super::sum::Sum;

/// Paths of up to so many distinct items are computed exactly.
pub const EXACT_ITEMS: usize = 12;

/// How many steps drawing orders for one path may take.
const SAMPLING_STEPS: usize = 2_000_000;
/// Of so many of the strongest observed parts, each makes those it is a part of superfluous.
const STRONGEST_PARTS: usize = 256;

/// The games of all observed paths.
///
/// Item numbers decide which orders are drawn: for the same result in every run, number the items by their sorted names
/// (see [`PathCounts::merge`]).
#[derive(Debug)]
pub struct Game {
    /// Sorted sets of items.
    sets: Vec<(Box<[u32]>, PathCount)>,
    /// The sets with conversions, by the item of theirs that is on the fewest paths: parts of a set are found by its items.
    by_rarest: HashMap<u32, Vec<u32>>,
    direct: ItemCredits,
}

impl Game {
    /// From the counts of all visitors.
    pub fn new(counts: &PathCounts) -> Self {
        let mut sets: Vec<_> = counts.sets.iter().map(|(set, count)| (set.clone(), *count)).collect();
        sets.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut paths: HashMap<u32, u64> = HashMap::new();
        for (set, count) in &sets {
            set.iter().for_each(|item| *paths.entry(*item).or_default() += count.paths);
        }
        let mut by_rarest: HashMap<u32, Vec<u32>> = HashMap::new();
        for (number, (set, _)) in (0u32..).zip(&sets).filter(|(_, (_, count))| rate(count) > 0.0) {
            if let Some(rarest) = set.iter().min_by_key(|item| (paths[*item], **item)) {
                by_rarest.entry(*rarest).or_default().push(number);
            }
        }
        Self { sets, by_rarest, direct: counts.direct.clone() }
    }

    /// The credit of every item on a converting path; dummies are listed with 0.
    pub fn credits(&self) -> ItemCredits {
        let mut credits = self.direct.clone();
        for (set, count) in self.sets.iter().filter(|(_, count)| rate(count) > 0.0) {
            for (item, share) in set.iter().zip(self.shares(set)) {
                credits.add(*item, Sum::from_iter([count.value.value() * share]));
            }
        }
        credits
    }

    /// The share of each item of a sorted set in a conversion that saw it; in sum 1, equal where nothing was observed.
    pub fn shares(&self, set: &[u32]) -> Vec<f64> {
        let equal = || vec![1.0 / set.len() as f64; set.len()];
        if set.len() < 2 || set.len() > super::LARGEST_PATH {
            return equal();
        }
        let parts = self.observed_parts(set);
        if parts.len() < 2 && parts.iter().all(|(part, _)| part.count_ones() as usize == set.len()) {
            return equal();
        }
        let mut values = match set.len() {
            ..=EXACT_ITEMS => exact(set.len(), &parts),
            _ => sampled(set.len(), &parts),
        };
        let total: f64 = values.iter().sum();
        if total <= 0.0 {
            return equal();
        }
        values.iter_mut().for_each(|value| *value /= total);
        values
    }

    /// The sets with conversions whose items all are in `set`, as bits of its items, with their rates.
    fn observed_parts(&self, set: &[u32]) -> Vec<(u64, f64)> {
        let candidates = set.iter().filter_map(|item| self.by_rarest.get(item)).flatten();
        let parts = candidates.filter_map(|number| {
            let (part, count) = &self.sets[*number as usize];
            let mut bits = 0u64;
            for item in part {
                bits |= 1 << set.binary_search(item).ok()?;
            }
            Some((bits, rate(count)))
        });
        parts.collect()
    }
}

fn rate(count: &PathCount) -> f64 {
    count.magnitude.value() / count.paths as f64
}

/// Shapley values over all coalitions of `items`.
fn exact(items: usize, parts: &[(u64, f64)]) -> Vec<f64> {
    let mut worth = vec![0.0f64; 1 << items];
    for (part, rate) in parts {
        worth[*part as usize] = *rate;
    }
    for item in 0..items {
        for coalition in (0..worth.len()).filter(|s| s >> item & 1 == 1) {
            worth[coalition] = worth[coalition].max(worth[coalition ^ 1 << item]);
        }
    }
    // of a coalition of s others: s! (items - 1 - s)! / items!, one over items times a binomial coefficient
    let mut weights = vec![1.0 / items as f64];
    for s in 1..items {
        weights.push(weights[s - 1] * s as f64 / (items - s) as f64);
    }
    let value = |item: usize| {
        let without = (0..worth.len()).filter(|s| s >> item & 1 == 0);
        without.map(|s| weights[s.count_ones() as usize] * (worth[s | 1 << item] - worth[s])).sum()
    };
    (0..items).map(value).collect()
}

/// Shapley values as mean gains over orders of `items` that are drawn, always the same ones.
fn sampled(items: usize, parts: &[(u64, f64)]) -> Vec<f64> {
    let parts = essential(parts);
    let steps: usize = items + parts.iter().map(|(part, _)| 1 + part.count_ones() as usize).sum::<usize>();
    let orders = (SAMPLING_STEPS / (2 * items * steps)).clamp(1, 64);
    let mut random = SplitMix64(0x5EED);
    let mut order: Vec<usize> = (0..items).collect();
    let (mut values, mut gains) = (vec![0.0; items], vec![0.0; items]);
    for _ in 0..orders {
        for i in (1..items).rev() {
            order.swap(i, (random.next() % (i as u64 + 1)) as usize);
        }
        for _ in 0..items {
            order.rotate_left(1);
            for _ in 0..2 {
                order.reverse();
                add_gains(&order, &parts, &mut gains, &mut values);
            }
        }
    }
    level_symmetric(&mut values, &parts);
    values
}

/// Adds what each item adds to the worth when the items come in this order.
fn add_gains(order: &[usize], parts: &[(u64, f64)], best: &mut [f64], values: &mut [f64]) {
    let mut places = [0usize; super::LARGEST_PATH];
    for (place, item) in order.iter().enumerate() {
        places[*item] = place;
    }
    best.fill(0.0);
    for (part, rate) in parts {
        let whole = bits(*part).map(|item| places[item]).max().unwrap_or_default();
        best[whole] = best[whole].max(*rate);
    }
    let mut worth = 0.0f64;
    for (item, best) in order.iter().zip(best) {
        let gain = (*best - worth).max(0.0);
        values[*item] += gain;
        worth += gain;
    }
}

/// Leaves out parts that contain another one with at least their rate, which tell nothing; strongest first, then by bits.
fn essential(parts: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let mut sorted = parts.to_vec();
    sorted
        .sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.count_ones().cmp(&b.0.count_ones())).then(a.0.cmp(&b.0)));
    let mut kept: Vec<(u64, f64)> = Vec::with_capacity(sorted.len());
    for (part, rate) in sorted {
        if !kept.iter().take(STRONGEST_PARTS).any(|(stronger, _)| stronger & !part == 0) {
            kept.push((part, rate));
        }
    }
    kept
}

/// Gives items that can change places without changing the game the same value.
fn level_symmetric(values: &mut [f64], parts: &[(u64, f64)]) {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by_key(|(part, _)| *part);
    let rate_of = |part: u64| sorted.binary_search_by_key(&part, |(part, _)| *part).ok().map(|at| sorted[at].1);
    let symmetric = |a: usize, b: usize| {
        let pair = 1u64 << a | 1 << b;
        let one_of_both = |part: u64| (part & pair).count_ones() == 1;
        parts.iter().filter(|(part, _)| one_of_both(*part)).all(|(part, rate)| rate_of(part ^ pair) == Some(*rate))
    };
    let mut classes: Vec<Vec<usize>> = vec![];
    for item in 0..values.len() {
        match classes.iter_mut().find(|class| symmetric(class[0], item)) {
            Some(class) => class.push(item),
            None => classes.push(vec![item]),
        }
    }
    for class in classes {
        let mean = class.iter().map(|item| values[*item]).sum::<f64>() / class.len() as f64;
        class.iter().for_each(|item| values[*item] = mean);
    }
}

fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = set.trailing_zeros() as usize;
        (set != 0).then(|| {
            set &= set - 1;
            lowest
        })
    })
}

/// Steele, Lea and Flood's generator: small, and the same on every machine.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::super::journey::{Conversion, Journey, NONE};
    use super::super::model::Container;
    use super::super::reach::Reach;
    use super::*;

    /// Per set: the values of its converting paths, and how many do not convert.
    fn game(observed: &[(&[u32], &[f64], u32)]) -> Game {
        let (mut counts, mut reach, mut journey) =
            (PathCounts::new(), Reach::new(Container::Visitor, None), Journey::new());
        for (set, values, others) in observed {
            let conversions = values.iter().copied().chain((0..*others).map(|_| 0.0));
            for value in conversions {
                journey.clear();
                (0u32..).zip(*set).for_each(|(p, item)| journey.touch(p, 0, 0, *item));
                journey.convert(Conversion { row: 99, position: 99, time: 0, visit: 0, value });
                reach.find(&journey);
                counts.add(&journey, &reach);
            }
        }
        Game::new(&counts)
    }

    fn credits(game: &Game) -> Vec<(u32, f64)> {
        game.credits().iter().collect()
    }

    fn assert_near(found: &[(u32, f64)], expected: &[(u32, f64)]) {
        let near = |((a, x), (b, y)): (&(u32, f64), &(u32, f64))| a == b && (x - y).abs() < 1e-9;
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(near), "{found:?}\n{expected:?}");
    }

    #[test]
    fn two_items() {
        // rates A 1/4, B 1/2, AB 1: A is worth (1/4 + 1/2) / 2 = 3/8 of AB, B (1/2 + 3/4) / 2 = 5/8
        let game = game(&[(&[0], &[10.0], 3), (&[1], &[10.0], 1), (&[0, 1], &[10.0, 10.0], 0), (&[], &[7.0], 5)]);
        assert_near(&credits(&game), &[(0, 10.0 + 7.5), (1, 10.0 + 12.5), (NONE, 7.0)]);
    }

    #[test]
    fn a_dummy_gets_nothing_and_an_item_that_never_converts_is_not_listed() {
        let game = game(&[(&[0], &[1.0], 1), (&[0, 1], &[1.0, 1.0], 2), (&[2], &[], 4), (&[0, 2], &[], 1)]);
        assert_near(&credits(&game), &[(0, 3.0), (1, 0.0)]);
    }

    #[test]
    fn three_items() {
        // w: A .2, B .1, C 0, AB .4, AC .2 (never seen alone together), BC .3, ABC .6. Dividends: A .2, B .1,
        // AB .1, BC .2, ABC 0: A .2 + .05 = .25, B .1 + .05 + .1 = .25, C .1
        let seen: &[(&[u32], usize)] = &[(&[0], 2), (&[1], 1), (&[2], 0), (&[0, 1], 4), (&[1, 2], 3), (&[0, 1, 2], 6)];
        let ones = [1.0; 6];
        let observed: Vec<_> = seen.iter().map(|(set, n)| (*set, &ones[..*n], 10 - *n as u32)).collect();
        let game = game(&observed);
        let shares = game.shares(&[0, 1, 2]);
        assert_near(
            &[(0, shares[0]), (1, shares[1]), (2, shares[2])],
            &[(0, 0.25 / 0.6), (1, 0.25 / 0.6), (2, 0.1 / 0.6)],
        );
        // AB: A (.2 + .3) / 2 = .25, B .15; BC: B (.1 + .3) / 2 = .2, C .1
        let a = 2.0 + 4.0 * 0.25 / 0.4 + 6.0 * 0.25 / 0.6;
        let b = 1.0 + 4.0 * 0.15 / 0.4 + 3.0 * 0.2 / 0.3 + 6.0 * 0.25 / 0.6;
        let c = 3.0 * 0.1 / 0.3 + 6.0 * 0.1 / 0.6;
        assert_near(&credits(&game), &[(0, a), (1, b), (2, c)]);
        assert!((a + b + c - 16.0).abs() < 1e-12);
    }

    #[test]
    fn four_items() {
        // a glove game: {0, 1} are left gloves, {2, 3} right ones, any pair of one each converts always, the rest never:
        // w = 1 as soon as both kinds are there: all are symmetric. With one left glove (0) and three right ones
        // (1, 2, 3), 0 is pivotal unless it comes first: 3/4, the others 1/12 each
        let pairs: &[(&[u32], &[f64], u32)] = &[
            (&[0, 2], &[1.0], 0),
            (&[0, 3], &[1.0], 0),
            (&[1, 2], &[1.0], 0),
            (&[1, 3], &[1.0], 0),
            (&[0, 1, 2, 3], &[8.0], 7),
        ];
        assert_eq!(game(pairs).shares(&[0, 1, 2, 3]), [0.25; 4]);
        let one_left: &[(&[u32], &[f64], u32)] =
            &[(&[0, 1], &[1.0], 0), (&[0, 2], &[1.0], 0), (&[0, 3], &[1.0], 0), (&[0, 1, 2, 3], &[8.0], 8)];
        let game = game(one_left);
        let third = 0.5 + 8.0 / 12.0;
        assert_near(&credits(&game), &[(0, 1.5 + 6.0), (1, third), (2, third), (3, third)]);
    }

    #[test]
    fn refunds_take_back_what_sales_give() {
        let game = game(&[(&[0], &[10.0], 3), (&[0, 1], &[30.0, -30.0], 0), (&[1], &[-5.0], 0)]);
        assert_near(&credits(&game), &[(0, 10.0), (1, -5.0)]);
        let shares = game.shares(&[0, 1]);
        assert!(shares.iter().all(|s| *s > 0.0) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn drawn_orders_agree_with_exact_values_and_axioms() {
        let mut random = SplitMix64(1);
        let parts: Vec<(u64, f64)> =
            (0..30).map(|_| (1 + random.next() % 4095, (1 + random.next() % 8) as f64)).collect();
        let mut unique: HashMap<u64, f64> = HashMap::new();
        parts.iter().for_each(|(part, rate)| *unique.entry(*part).or_default() = *rate);
        let parts: Vec<_> = unique.into_iter().collect();
        let normalised = |v: Vec<f64>| v.iter().map(|x| x / v.iter().sum::<f64>()).collect::<Vec<_>>();
        let (exact, sampled) = (normalised(exact(12, &parts)), normalised(sampled(12, &parts)));
        for (a, b) in exact.iter().zip(&sampled) {
            assert!((a - b).abs() < 0.02, "{exact:?}\n{sampled:?}");
        }
        assert_eq!(super::sampled(12, &parts), super::sampled(12, &parts));
    }

    #[test]
    fn long_paths_keep_symmetry_dummies_and_sums() {
        let all: Vec<u32> = (0..20).collect();
        let same = game(&[(&all, &[3.0], 2)]);
        assert_eq!(same.shares(&all), [0.05; 20]);
        // 0 and 1 convert alone, 2 only with 3, 19 adds nothing to the rest
        let most: Vec<u32> = (0..19).collect();
        let game =
            game(&[(&[0], &[1.0], 3), (&[1], &[1.0], 3), (&[2, 3], &[1.0], 3), (&most, &[4.0], 0), (&all, &[4.0], 0)]);
        let shares = game.shares(&all);
        assert_eq!((shares[0], shares[2], shares[19]), (shares[1], shares[3], 0.0));
        assert!(shares[0] > shares[2] && shares[2] > shares[4], "{shares:?}");
        let total: f64 = credits(&game).iter().map(|(_, credit)| credit).sum();
        assert!((total - 11.0).abs() < 1e-12);
    }
}
