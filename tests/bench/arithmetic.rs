//! How long the arithmetic takes: reaches and credit of short and of long journeys by model, and games by their size.
//! Nothing is read and no engine runs. `cargo bench --bench arithmetic`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rejoin::attribution::{Attributor, Container, Conversion, Game, ItemCredits, Journey, Model, PathCounts, Reach};

const MINUTE_US: i64 = 60_000_000;
const LOOKBACK_US: i64 = 30 * 24 * 60 * MINUTE_US;
const MODELS: [&str; 5] = ["participation", "linear", "u_shaped", "time_decay", "time_decay(7 days, whole)"];
/// Distinct items of a dense dimension.
const ITEMS: u64 = 2000;

/// The models, per row of a journey: many short ones as most visitors have, one as long as a robot's.
fn models(c: &mut Criterion) {
    for (name, journeys, rows) in [("short journeys", 1000, 12), ("a long journey", 1, 100_000)] {
        let journeys: Vec<Journey> = (0..journeys).map(|seed| journey(seed, rows)).collect();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(journeys.len() as u64 * u64::from(rows)));
        let all_history = MODELS.iter().map(|model| (*model, None));
        let with_lookback = MODELS.iter().map(|model| (*model, Some(LOOKBACK_US)));
        for (model, lookback_us) in all_history.chain(with_lookback) {
            let parsed: Model = model.parse().expect("a model's name");
            let mut attributor = Attributor::new(parsed).expect("a model that works on one journey");
            let mut reach = Reach::new(Container::Visitor, lookback_us);
            let mut credits = ItemCredits::new();
            let reached = if lookback_us.is_some() { "30 days" } else { "all history" };
            group.bench_function(BenchmarkId::new(model, reached), |b| {
                b.iter(|| {
                    for journey in &journeys {
                        reach.find(black_box(journey));
                        attributor.credit(journey, &reach, &mut credits);
                    }
                });
            });
            black_box(credits);
        }
        group.finish();
    }
}

/// The shares of one path: 12 items are exact, 30 drawn.
fn games(c: &mut Criterion) {
    let mut group = c.benchmark_group("game");
    group.sample_size(10);
    for items in [12, 30] {
        let game = game(items);
        let all: Vec<u32> = (0..items).collect();
        group.bench_function(BenchmarkId::from_parameter(items), |b| b.iter(|| game.shares(black_box(&all))));
    }
    group.finish();
}

/// A journey of a touch a row, in steps of an hour or so; every fiftieth row converts.
fn journey(seed: u64, rows: u32) -> Journey {
    let mut random = Random(seed);
    let (mut journey, mut time) = (Journey::new(), 0);
    for row in 0..rows {
        time += (1 + random.below(120) as i64) * MINUTE_US;
        let visit = row / 6;
        // low numbers are common, high ones rare
        let item = (random.below(ITEMS) * random.below(ITEMS) / ITEMS) as u32;
        journey.touch(row, time, visit, item);
        if random.below(50) == 0 || row + 1 == rows {
            journey.convert(Conversion { row, position: row, time, visit, value: 1.0 });
        }
    }
    journey
}

/// The game of paths through up to four of the items, and one through all of them.
fn game(items: u32) -> Game {
    let mut random = Random(1);
    let (mut counts, mut reach) = (PathCounts::new(), Reach::new(Container::Visitor, None));
    let mut journey = Journey::new();
    for path in 0..2000 {
        journey.clear();
        let touches = if path == 0 { items } else { 1 + random.below(4) as u32 };
        for position in 0..touches {
            let item = if path == 0 { position } else { random.below(items.into()) as u32 };
            journey.touch(position, 0, 0, item);
        }
        if path == 0 || random.below(4) == 0 {
            journey.convert(Conversion { row: touches, position: touches, time: 0, visit: 0, value: 1.0 });
        }
        reach.find(&journey);
        counts.add(&journey, &reach);
    }
    Game::new(&counts)
}

/// Steele, Lea and Flood's generator: the same journeys in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

criterion_group!(benches, models, games);
criterion_main!(benches);
