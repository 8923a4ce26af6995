//! A selection at work: the marks of one visitor after another, what they leave of its journey, and whose the credit is.

use std::collections::HashSet;
use std::sync::Arc;

use super::breakdown::Groups;
use super::columns::Columns;
use super::selection::Selection;
use crate::attribution::{Attributor, Container, ItemCredits, Journey, NO_VISIT, PathFilter, Portion, Reach, portions};

/// A selection and the visitor at hand.
pub(super) struct Selected {
    wanted: Selection,
    /// The visitor at hand: whether a row is marked, and in which visits.
    marks_visitor: bool,
    marked_visits: Vec<bool>,
    /// Group of each conversion, in the journey's order.
    group_of: Vec<u32>,
    /// Where conversions may have been taken away: which of them stayed.
    stayed: Vec<bool>,
    pub groups: Groups,
    filter: PathFilter,
    whole: PathFilter,
    last_resort: LastResort,
    path: Journey,
    path_reach: Reach,
    part: Journey,
    part_reach: Reach,
}

impl Selected {
    /// None where all of every journey counts.
    pub fn new(wanted: &Selection, container: Container, lookback_us: Option<i64>) -> Option<Self> {
        (*wanted != Selection::default()).then(|| Self {
            marks_visitor: false,
            marked_visits: vec![],
            group_of: vec![],
            stayed: vec![],
            groups: Groups::default(),
            filter: PathFilter::new(wanted.repeats, wanted.last_touches),
            whole: PathFilter::default(),
            last_resort: LastResort { names: wanted.last_resort.iter().cloned().collect(), known: vec![] },
            path: Journey::new(),
            // what is left of a path is in reach
            path_reach: Reach::new(Container::Visitor, None),
            part: Journey::new(),
            part_reach: Reach::new(container, lookback_us),
            wanted: wanted.clone(),
        })
    }

    /// Notes what a row of the visitor, and of a visit, is marked with.
    pub fn mark(&mut self, columns: &Columns, row: usize, visit: u32) {
        self.note(columns.marks_visitor(row), (visit != NO_VISIT && columns.marks_visit(row)).then_some(visit));
    }

    /// Notes that a row marks its visitor, and its visit.
    pub fn note(&mut self, marks_visitor: bool, marked_visit: Option<u32>) {
        self.marks_visitor |= marks_visitor;
        if let Some(visit) = marked_visit {
            let visit = visit as usize;
            if self.marked_visits.len() <= visit {
                self.marked_visits.resize(visit + 1, false);
            }
            self.marked_visits[visit] = true;
        }
    }

    /// The group of a row.
    pub fn group(&mut self, columns: &Columns, row: usize) -> u32 {
        columns.groups.as_ref().map_or(0, |groups| self.groups.number(groups, row))
    }

    /// The lines of a row, where each converts for itself: parts of its value, with their groups.
    pub fn line_groups(&mut self, columns: &Columns, row: usize) -> Option<Vec<(f64, u32)>> {
        let lines = columns.line_groups.as_ref()?;
        Some(lines.of(row).map(|(line, share)| (share, self.groups.number(&lines.groups, line))).collect())
    }

    /// Notes the group of the journey's newest conversion.
    pub fn converted(&mut self, group: u32) {
        self.group_of.push(group);
    }

    /// Takes away what does not count, once all rows of the visitor are there.
    pub fn settle(&mut self, journey: &mut Journey) {
        if self.wanted.visitors && !self.marks_visitor {
            self.stayed.resize(journey.conversions().len(), false);
            self.group_of.clear();
            journey.clear();
        } else if self.wanted.visits {
            let marked = |visit: u32| self.marked_visits.get(visit as usize).copied().unwrap_or_default();
            journey.retain_visits(marked, |stays| self.stayed.push(stays));
            let mut stays = self.stayed.iter();
            self.group_of.retain(|_| stays.next().copied().unwrap_or_default());
        }
    }

    /// Where [`Self::settle`] may have taken away conversions: which stayed.
    pub fn kept_conversions(&self) -> Option<&[bool]> {
        (self.wanted.visitors && !self.marks_visitor || self.wanted.visits).then_some(&self.stayed)
    }

    /// True for the visitor at hand, if any does.
    pub fn takes_visitor(&self) -> bool {
        !self.wanted.visitors || self.marks_visitor
    }

    /// True where less than the whole path of a conversion may count.
    pub fn filters_paths(&self) -> bool {
        self.wanted.filters_paths()
    }

    /// True where credit is not that of the whole journey at once.
    pub fn divides(&self) -> bool {
        self.wanted.filters_paths() || !self.wanted.by.is_empty()
    }

    /// What is left of the path of the conversion listed at `listed`, or of a portion of it, as a journey of its own; with
    /// `whole`, all of it.
    pub fn path(
        &mut self,
        journey: &Journey,
        reach: &Reach,
        (listed, portion): (usize, Option<Portion>),
        names: &[Arc<str>],
        whole: bool,
    ) -> (&Journey, &Reach) {
        let last_resort = self.last_resort.of(names);
        let is_last_resort = |item: u32| last_resort.get(item as usize).copied().unwrap_or_default();
        match whole {
            true => self.whole.apply(journey, reach, listed, portion, |_| false, &mut self.path),
            false => self.filter.apply(journey, reach, listed, portion, is_last_resort, &mut self.path),
        }
        self.path_reach.find(&self.path);
        (&self.path, &self.path_reach)
    }

    /// Hands out the credit of a settled visitor, path by path, or group by group.
    pub fn credit(
        &mut self,
        journey: &Journey,
        reach: &Reach,
        names: &[Arc<str>],
        models: &mut [(Option<Attributor>, ItemCredits)],
    ) {
        if self.wanted.filters_paths() {
            for listed in 0..reach.conversions() {
                let group = self.group_of(reach.number(listed));
                for whole in [false, true] {
                    let of_this = |model: &Attributor| model.looks_at_own_row_only() == whole;
                    if !models.iter().any(|(model, _)| model.as_ref().is_some_and(of_this)) {
                        continue;
                    }
                    let converts = |portion: &Option<Portion>| portion.is_none_or(|portion| portion.converts);
                    for portion in portions(journey, reach, listed).filter(converts) {
                        self.path(journey, reach, (listed, portion), names, whole);
                        let grouped = (!self.wanted.by.is_empty()).then_some((&mut self.groups, group));
                        give(&self.path, &self.path_reach, grouped, models, of_this);
                    }
                }
            }
            return;
        }
        let mut groups: Vec<u32> = (0..reach.conversions()).map(|c| self.group_of(reach.number(c))).collect();
        groups.sort_unstable();
        groups.dedup();
        if let [group] = groups[..] {
            return give(journey, reach, Some((&mut self.groups, group)), models, |_| true);
        }
        for group in groups {
            let all = journey.conversions().iter().zip(&self.group_of);
            let own = all.filter(|(_, of)| **of == group).map(|(conversion, _)| *conversion);
            self.part.become_part(journey, own);
            self.part_reach.find(&self.part);
            give(&self.part, &self.part_reach, Some((&mut self.groups, group)), models, |_| true);
        }
    }

    /// The group of the journey's conversion `number`.
    pub fn group_of(&self, number: usize) -> u32 {
        self.group_of.get(number).copied().unwrap_or_default()
    }

    /// Turns to the next visitor.
    pub fn clear(&mut self) {
        self.marks_visitor = false;
        self.marked_visits.clear();
        self.group_of.clear();
        self.stayed.clear();
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let journeys = self.path.memory_bytes() + self.part.memory_bytes();
        let reaches = self.path_reach.memory_bytes() + self.part_reach.memory_bytes();
        let filters = self.filter.memory_bytes() + self.whole.memory_bytes() + self.last_resort.known.capacity();
        journeys + reaches + filters + self.groups.memory_bytes() + self.group_of.capacity() * 4
    }
}

/// Hands the credit of a journey to the models that `of_this` names, or to one group of theirs.
fn give(
    journey: &Journey,
    reach: &Reach,
    mut group: Option<(&mut Groups, u32)>,
    models: &mut [(Option<Attributor>, ItemCredits)],
    of_this: impl Fn(&Attributor) -> bool,
) {
    for (attributor, credits) in models {
        let Some(attributor) = attributor.as_mut().filter(|model| of_this(model)) else { continue };
        match &mut group {
            Some((groups, group)) => attributor.credit(journey, reach, &mut groups.sink(*group, credits)),
            None => attributor.credit(journey, reach, credits),
        }
    }
}

/// Which items are of last resort.
struct LastResort {
    names: HashSet<String>,
    /// By number, of the items met so far.
    known: Vec<bool>,
}

impl LastResort {
    fn of(&mut self, names: &[Arc<str>]) -> &[bool] {
        let new = names.get(self.known.len()..).unwrap_or_default();
        self.known.extend(new.iter().map(|name| self.names.contains(&**name)));
        &self.known
    }
}
