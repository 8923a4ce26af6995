//! Values that are bound to products (merchandising): a visitor's product lines in, credit out.
//!
//! A touch is a binding, a product with a value, on a product line. The metric of a line is shared among the bindings of its product only.
//! So every product is a journey of its own. It has the rows of one visit, where the container is the visit or bindings last as long; or
//! those between two rows that end bindings, where a metric ends them. In such a journey all bindings are in reach of what comes after
//! them, and every model works as on any other journey.
//!
//! The lines of a row come one after another: a line sees its own binding and those of the lines before it. A row that converts as a whole
//! is placed, for each of its products, on that product's last line. Of several products an item gets the largest of its shares, which is
//! found for each conversion. What has no product, or no binding in reach, goes to the item [`NONE`].

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::attributor::Attributor;
use super::credit::{CreditSink, ItemCredits};
use super::explain::{Step, explain};
use super::journey::{Conversion, Journey, NO_VISIT, NONE};
use super::lifetime::{Allocation, Expiry};
use super::model::{Container, Model};
use super::paths::PathCounts;
use super::place::{Place, find_place};
use super::reach::Reach;

/// How values are bound.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct BindingRules {
    /// `Original`: while a product has a binding, later ones are no touches.
    pub allocation: Allocation,
    /// How long a binding lasts.
    pub expiry: Expiry,
}

/// A product line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductLine {
    /// The product, or [`NONE`].
    pub product: u32,
    /// The value that the line binds to its product, or [`NONE`].
    pub value: u32,
    /// What the line has of the metric, where it has any.
    pub amount: Option<f64>,
}

/// A row that has product lines. A line's number is its position on the time line.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// The caller's number of the row.
    number: u32,
    /// Time and sequence.
    place: Place,
    visit: u32,
    /// How many rows before this one ended bindings.
    era: u32,
    /// After the last of its lines.
    end: u32,
}

/// What converts on a row.
#[derive(Debug, Clone, Copy)]
struct Converted {
    /// The caller's number of the row.
    number: u32,
    /// Its place among the rows that have lines, if it has.
    row: Option<usize>,
    time: i64,
    value: f64,
}

/// The journey that a line is on: product, visit, era.
type Track = (u32, u32, u32);

/// A binding on its journey.
#[derive(Debug, Clone, Copy)]
struct Bound {
    track: Track,
    line: u32,
    value: u32,
    time: i64,
}

/// What a product has of a conversion, on its journey.
#[derive(Debug, Clone, Copy)]
struct ProductShare {
    track: Track,
    line: u32,
    time: i64,
    value: f64,
}

/// How a conversion falls apart.
enum Split {
    /// No product has any of it.
    Nobody,
    /// Each product has its own; what lines of no product have together, if there are any.
    Lines(Option<f64>),
    /// All of its products have all of it.
    Whole,
}

/// One touch that a conversion reaches, or the item [`NONE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundStep {
    /// The line of the binding: rising in time. [`NONE`] comes last.
    pub line: u32,
    /// The caller's number of its row; of the conversion's for [`NONE`].
    pub row: u32,
    /// Microseconds.
    pub time: i64,
    /// The item, or [`NONE`].
    pub item: u32,
    /// Part of the conversion's value.
    pub share: f64,
}

/// The product lines and conversions of one visitor; cleared and filled again for the next.
#[derive(Debug)]
pub struct Bindings {
    rules: BindingRules,
    container: Container,
    rows: Vec<Row>,
    lines: Vec<ProductLine>,
    conversions: Vec<Converted>,
    /// By the place of the row that they stand on, which may be still to come.
    anchored: Vec<(u32, Place, f64)>,
    era: u32,
    /// Under `Original`: by product, visit and era (0 where they do not matter) the time of the binding that lives.
    living: HashMap<Track, i64>,
    bound: Vec<Bound>,
    parts: Vec<ProductShare>,
    shared: Vec<usize>,
    journey: Journey,
    reach: Reach,
}

impl Bindings {
    /// For a container, and a lookback in microseconds (`None`: all history); the container `visit` ignores it.
    pub fn new(rules: BindingRules, container: Container, lookback_us: Option<i64>) -> Self {
        let lookback_us = lookback_us.filter(|_| container == Container::Visitor);
        let lasting_us = if let Expiry::After(us) = rules.expiry { Some(us) } else { None };
        let oldest_us = match (lookback_us, lasting_us) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            rules,
            container,
            rows: vec![],
            lines: vec![],
            conversions: vec![],
            anchored: vec![],
            era: 0,
            living: HashMap::new(),
            bound: vec![],
            parts: vec![],
            shared: vec![],
            journey: Journey::new(),
            // visits are apart already: see `track`
            reach: Reach::new(Container::Visitor, oldest_us),
        }
    }

    /// Forgets the visitor, keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.lines.clear();
        self.conversions.clear();
        self.anchored.clear();
        self.era = 0;
        if !self.living.is_empty() {
            self.living.clear();
        }
    }

    /// Adds the lines of the next row.
    pub fn row(&mut self, number: u32, place: Place, visit: u32, lines: impl IntoIterator<Item = ProductLine>) {
        let start = self.lines.len();
        self.lines.extend(lines);
        if self.lines.len() == start {
            return;
        }
        let row = Row { number, place, visit, era: self.era, end: self.lines.len() as u32 };
        self.rows.push(row);
        if self.rules.allocation == Allocation::Original {
            for line in start..self.lines.len() {
                self.drop_later(line, &row);
            }
        }
    }

    /// Under `Original`: the line binds nothing while its product has a binding that lives.
    fn drop_later(&mut self, line: usize, row: &Row) {
        let ProductLine { product, value, .. } = self.lines[line];
        if product == NONE || value == NONE {
            return;
        }
        let span = match self.rules.expiry {
            Expiry::Visit => (product, self.visit_of(row), 0),
            _ => (product, 0, row.era),
        };
        let lives = |since: i64| match self.rules.expiry {
            Expiry::After(us) => row.place.0.saturating_sub(since) <= us,
            _ => true,
        };
        if self.living.get(&span).is_some_and(|since| lives(*since)) {
            self.lines[line].value = NONE;
        } else {
            self.living.insert(span, row.place.0);
        }
    }

    /// The row at hand, with or without lines, ends all bindings so far: later rows do not see them.
    pub fn end(&mut self) {
        self.era += 1;
    }

    /// The row at hand converts; false if the value is zero or no finite number.
    pub fn convert(&mut self, number: u32, time: i64, value: f64) -> bool {
        let counts = value.is_finite() && value != 0.0;
        if counts {
            let row = self.rows.len().checked_sub(1).filter(|row| self.rows[*row].number == number);
            self.conversions.push(Converted { number, row, time, value });
        }
        counts
    }

    /// A row converts that stands at the place of another one.
    pub fn anchor(&mut self, number: u32, place: Place, value: f64) -> bool {
        let counts = value.is_finite() && value != 0.0;
        if counts {
            self.anchored.push((number, place, value));
        }
        counts
    }

    /// Number of conversions, those at other places included.
    pub fn conversions(&self) -> usize {
        self.conversions.len() + self.anchored.len()
    }

    /// All rows of the visitor are there: puts everything in its place.
    pub fn settle(&mut self) {
        for (number, place, value) in std::mem::take(&mut self.anchored) {
            let row = find_place(self.rows.len(), |row| self.rows[row].place, place).ok();
            // rows without lines are not here: a hit of another id is not the one that is looked for
            let is_it = |row: &usize| self.rows[*row].place.2.zip(place.2).is_none_or(|(own, wanted)| own == wanted);
            self.conversions.push(Converted { number, row: row.filter(is_it), time: place.0, value });
        }
        self.bound.clear();
        let mut start = 0;
        for (number, row) in self.rows.iter().enumerate() {
            for line in start..row.end {
                let ProductLine { product, value, .. } = self.lines[line as usize];
                if product != NONE && value != NONE {
                    let track = self.track(product, number);
                    self.bound.push(Bound { track, line, value, time: row.place.0 });
                }
            }
            start = row.end;
        }
        self.bound.sort_unstable_by_key(|bound| (bound.track, bound.line));
    }

    /// Hands out the credit of the settled visitor to each model that has an attributor; with `paths`, counts the paths.
    pub fn credit(&mut self, models: &mut [(Option<Attributor>, ItemCredits)], paths: Option<&mut PathCounts>) {
        let mut parts = std::mem::take(&mut self.parts);
        let mut shared = std::mem::take(&mut self.shared);
        parts.clear();
        shared.clear();
        let mut direct = |value: f64, paths: &mut Option<&mut PathCounts>| {
            let own = models.iter_mut().filter(|(attributor, _)| attributor.is_some());
            own.for_each(|(_, credits)| credits.credit(NONE, 0, value));
            if let Some(paths) = paths {
                paths.add_direct(value);
            }
        };
        let mut paths = paths;
        for c in 0..self.conversions.len() {
            let before = parts.len();
            match self.split(c, &mut parts) {
                Split::Nobody => direct(self.conversions[c].value, &mut paths),
                Split::Lines(Some(rest)) => direct(rest, &mut paths),
                Split::Whole if parts.len() > before + 1 => {
                    parts.truncate(before);
                    shared.push(c);
                }
                Split::Lines(None) | Split::Whole => {}
            }
        }
        parts.sort_unstable_by_key(|part| (part.track, part.line));
        for own in parts.chunk_by(|a, b| a.track == b.track) {
            self.fill(own[0].track, u32::MAX);
            own.iter().for_each(|part| part.convert(&mut self.journey));
            self.reach.find(&self.journey);
            for (attributor, credits) in models.iter_mut() {
                if let Some(attributor) = attributor {
                    attributor.credit(&self.journey, &self.reach, credits);
                }
            }
            if let Some(paths) = &mut paths {
                paths.add(&self.journey, &self.reach);
            }
        }
        for &c in &shared {
            for (attributor, credits) in models.iter_mut() {
                let Some(model) = attributor.as_ref().map(Attributor::model) else { continue };
                let value = self.conversions[c].value;
                let steps = self.explain(c, model);
                let taking_part = steps.iter().filter(|step| step.share != 0.0);
                taking_part.for_each(|step| credits.credit(step.item, step.line, value * step.share));
            }
        }
        if let Some(paths) = paths {
            self.add_other_paths(&parts, &shared, paths);
        }
        (self.parts, self.shared) = (parts, shared);
    }

    /// The paths that are on no journey with a part: a whole row of several products sees what is bound to any of them; and
    /// journeys without a conversion.
    fn add_other_paths(&mut self, parts: &[ProductShare], shared: &[usize], paths: &mut PathCounts) {
        let mut converting: Vec<Track> = parts.iter().map(|part| part.track).collect();
        let mut own: Vec<ProductShare> = vec![];
        for &c in shared {
            own.clear();
            self.split(c, &mut own);
            converting.extend(own.iter().map(|part| part.track));
            let mut seen: Vec<Bound> = own.iter().flat_map(|part| self.in_reach(part)).copied().collect();
            seen.sort_unstable_by_key(|bound| bound.line);
            self.journey.clear();
            seen.iter().for_each(|bound| bound.touch(&mut self.journey));
            let last = own.iter().max_by_key(|part| part.line);
            last.into_iter().for_each(|part| part.convert(&mut self.journey));
            self.reach.find(&self.journey);
            paths.add(&self.journey, &self.reach);
        }
        converting.sort_unstable();
        let tracks: Vec<Track> = self.bound.chunk_by(|a, b| a.track == b.track).map(|own| own[0].track).collect();
        for track in tracks.into_iter().filter(|track| converting.binary_search(track).is_err()) {
            self.fill(track, u32::MAX);
            self.reach.find(&self.journey);
            paths.add(&self.journey, &self.reach);
        }
    }

    /// The touches that the settled conversion number `c` reaches, in order, with their shares in a model.
    pub fn explain(&mut self, c: usize, model: Model) -> Vec<BoundStep> {
        let Converted { number, value, time, .. } = self.conversions[c];
        let mut parts = vec![];
        let split = self.split(c, &mut parts);
        let mut steps: Vec<BoundStep> = vec![];
        let mut rest = 0.0;
        match split {
            Split::Nobody => rest = 1.0,
            Split::Lines(of_nobody) => {
                rest = of_nobody.unwrap_or_default() / value;
                for part in &parts {
                    let part_of = part.value / value;
                    for step in self.explain_part(part, model) {
                        steps.push(self.step(step, number, step.share * part_of));
                    }
                }
            }
            Split::Whole => {
                // per item, the product in which its shares are largest
                let mut best: HashMap<u32, (usize, f64)> = HashMap::new();
                let mut of_parts = vec![];
                for (n, part) in parts.iter().enumerate() {
                    let own = self.explain_part(part, model);
                    let mut sums: HashMap<u32, f64> = HashMap::new();
                    own.iter().for_each(|step| *sums.entry(step.item).or_default() += step.share);
                    for (item, sum) in sums {
                        let so_far = best.entry(item).or_insert((n, sum));
                        if sum > so_far.1 {
                            *so_far = (n, sum);
                        }
                    }
                    of_parts.push(own);
                }
                for (n, own) in of_parts.into_iter().enumerate() {
                    for step in own {
                        let wins = best.get(&step.item).is_some_and(|(part, _)| *part == n);
                        steps.push(self.step(step, number, if wins { step.share } else { 0.0 }));
                    }
                }
            }
        }
        if rest != 0.0 {
            steps.push(BoundStep { line: u32::MAX, row: number, time, item: NONE, share: rest });
        }
        steps.sort_by_key(|step| step.line);
        // several lines of the conversion may see one binding, or none
        steps.dedup_by(|step, before| {
            let same = (step.line, step.item) == (before.line, before.item);
            if same {
                before.share += step.share;
            }
            same
        });
        steps
    }

    /// The number of touches that the settled conversion number `c` reaches, and the first and the last of them.
    pub fn ends(&self, c: usize) -> (usize, Option<(BoundStep, BoundStep)>) {
        let mut parts = vec![];
        self.split(c, &mut parts);
        let mut seen: Vec<Bound> = parts.iter().flat_map(|part| self.in_reach(part)).copied().collect();
        seen.sort_unstable_by_key(|bound| bound.line);
        seen.dedup_by_key(|bound| bound.line);
        let step = |bound: &Bound| BoundStep {
            line: bound.line,
            row: self.rows[self.row_of(bound.line)].number,
            time: bound.time,
            item: bound.value,
            share: 0.0,
        };
        (seen.len(), seen.first().zip(seen.last()).map(|(first, last)| (step(first), step(last))))
    }

    /// Caller's number of the row, time and value of each settled conversion, in the order of their numbers.
    pub fn converted(&self) -> impl Iterator<Item = (u32, i64, f64)> {
        self.conversions.iter().map(|c| (c.number, c.time, c.value))
    }

    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        let of_lines = self.rows.capacity() * size_of::<Row>() + self.lines.capacity() * size_of::<ProductLine>();
        let placed = self.bound.capacity() * size_of::<Bound>() + self.parts.capacity() * size_of::<ProductShare>();
        let converted = self.conversions.capacity() * size_of::<Converted>() + self.shared.capacity() * 8;
        let living = self.living.capacity() * size_of::<(Track, i64)>();
        of_lines + placed + converted + living + self.journey.memory_bytes() + self.reach.memory_bytes()
    }

    /// The parts of a conversion, appended.
    fn split(&self, c: usize, parts: &mut Vec<ProductShare>) -> Split {
        let Converted { row, value, .. } = self.conversions[c];
        let Some(row) = row else { return Split::Nobody };
        let (lines, time) = (self.lines_of(row), self.rows[row].place.0);
        let amounts = || lines.clone().filter_map(|line| Some((line, self.lines[line].amount?)));
        let total: f64 = amounts().map(|(_, amount)| amount).sum();
        if total.is_finite() && total != 0.0 {
            let mut of_nobody = None;
            for (line, amount) in amounts() {
                let (product, value) = (self.lines[line].product, value / total * amount);
                match product {
                    NONE if value == 0.0 => {}
                    NONE => *of_nobody.get_or_insert(0.0) += value,
                    _ => parts.push(ProductShare { track: self.track(product, row), line: line as u32, time, value }),
                }
            }
            return Split::Lines(of_nobody);
        }
        // each product on the last of its lines that binds a value, else on its last
        let mut last: Vec<(u32, bool, usize)> =
            lines.map(|line| (self.lines[line].product, self.lines[line].value != NONE, line)).collect();
        last.retain(|(product, ..)| *product != NONE);
        last.sort_unstable();
        for own in last.chunk_by(|a, b| a.0 == b.0) {
            let (product, _, line) = own[own.len() - 1];
            parts.push(ProductShare { track: self.track(product, row), line: line as u32, time, value });
        }
        if last.is_empty() { Split::Nobody } else { Split::Whole }
    }

    fn lines_of(&self, row: usize) -> Range<usize> {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].end as usize);
        start..self.rows[row].end as usize
    }

    fn row_of(&self, line: u32) -> usize {
        self.rows.partition_point(|row| row.end <= line)
    }

    /// The visit of a row; a row of none is as if it had one of its own.
    fn visit_of(&self, row: &Row) -> u32 {
        if row.visit == NO_VISIT { NO_VISIT - row.end } else { row.visit }
    }

    /// The journey of a product's lines on a row.
    fn track(&self, product: u32, row: usize) -> Track {
        let row = &self.rows[row];
        let by_visit = self.container == Container::Visit || self.rules.expiry == Expiry::Visit;
        (product, if by_visit { self.visit_of(row) } else { 0 }, row.era)
    }

    /// The bindings of a journey.
    fn bound_on(&self, track: Track) -> &[Bound] {
        let start = self.bound.partition_point(|bound| bound.track < track);
        let len = self.bound[start..].partition_point(|bound| bound.track == track);
        &self.bound[start..start + len]
    }

    /// The bindings that a part reaches.
    fn in_reach(&self, part: &ProductShare) -> &[Bound] {
        let own = self.bound_on(part.track);
        let own = &own[..own.partition_point(|bound| bound.line <= part.line)];
        let oldest = self.reach.lookback_us().map_or(i64::MIN, |us| part.time.saturating_sub(us));
        &own[own.partition_point(|bound| bound.time < oldest)..]
    }

    /// Fills the scratch journey with the bindings of a track, up to a line.
    fn fill(&mut self, track: Track, until: u32) {
        let mut journey = std::mem::take(&mut self.journey);
        journey.clear();
        let own = self.bound_on(track);
        let own = &own[..own.partition_point(|bound| bound.line <= until)];
        own.iter().for_each(|bound| bound.touch(&mut journey));
        self.journey = journey;
    }

    fn explain_part(&mut self, part: &ProductShare, model: Model) -> Vec<Step> {
        self.fill(part.track, part.line);
        part.convert(&mut self.journey);
        self.reach.find(&self.journey);
        explain(&self.journey, &self.reach, model, None, 0)
    }

    fn step(&self, step: Step, number: u32, share: f64) -> BoundStep {
        let Step { position, time, item, .. } = step;
        match item {
            NONE => BoundStep { line: u32::MAX, row: number, time, item, share },
            _ => BoundStep { line: position, row: self.rows[self.row_of(position)].number, time, item, share },
        }
    }
}

impl Bound {
    fn touch(&self, journey: &mut Journey) {
        journey.touch(self.line, self.time, 0, self.value);
    }
}

impl ProductShare {
    fn convert(&self, journey: &mut Journey) {
        let Self { line, time, value, .. } = *self;
        journey.convert(Conversion { row: line, position: line, time, visit: 0, value });
    }
}

#[cfg(test)]
mod tests;
