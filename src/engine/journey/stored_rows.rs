//! How stored rows take part in a journey.

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};

use crate::columns;
use crate::engine::visits::VisitRules;
use crate::functions::Classes;
use crate::lake::scan::LakeTable;

/// How the rows of one table take part in a journey.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredRows {
    /// Online rows come before offline rows of the same instant.
    pub online: bool,
    pub(super) metric: Metric,
    /// Each conversion counts one, whatever the metric's value.
    pub(super) counted: bool,
    pub(super) dimension: Option<String>,
    /// What becomes of its values, where items are their classes.
    pub(super) classes: Option<Classes>,
    pub(super) set: Option<String>,
    pub(super) window: (i64, i64),
    /// Only rows of this suite, where the files do not say that all are.
    pub(super) suite: Option<String>,
    /// How visits that are not stored are computed; None for rows that belong to no visit.
    pub(super) visit_rules: Option<VisitRules>,
    /// Matched transaction rows stand at their snapshot's hit.
    pub(super) anchored: bool,
    /// Some rows may be a hit that another row is: the first of them counts.
    pub(super) repeats: bool,
    /// Hits that happened in the background count, too.
    pub(super) background_hits: bool,
    /// The files say that each hit is reported, so that nothing of its own need tell it.
    pub(super) all_reported: bool,
    /// Some rows stand right after a hit, whose sequence they have.
    pub(super) at_hits: bool,
}

/// Where the metric of a row is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Metric {
    Column(String),
    /// Every row counts once: `occurrences`.
    One,
    /// The table has no such column.
    None,
}

impl StoredRows {
    /// The column that says on which rows `set` decides: of hits the dimension's own, of integrated rows one for all.
    pub(super) fn flag(&self) -> Option<&str> {
        let set = self.set.as_deref()?;
        Some(if self.online { columns::flag_of_set(set) } else { columns::PERSISTED })
    }

    /// False where no row can be a touch or a conversion.
    pub(super) fn say_something(&self) -> bool {
        !matches!(self.metric, Metric::None) || self.have_items()
    }

    /// False where no row has an item.
    pub(super) fn have_items(&self) -> bool {
        self.dimension.is_some() || self.set.is_some()
    }

    /// The columns to read.
    pub(super) fn fields(&self, table: &LakeTable, ids: bool, times: bool, sequences: bool, rests: bool) -> Vec<Field> {
        let mut names = vec![columns::VISITOR_KEY];
        names.extend(ids.then_some(columns::VISITOR_ID));
        names.extend(times.then_some(columns::HIT_TIME));
        if sequences {
            names.push(columns::HIT_SEQ);
        }
        names.extend(rests.then_some(columns::HIT_ID_REST));
        if self.suite.is_some() {
            names.push(columns::SUITE);
        }
        if self.online && !self.all_reported {
            let background = (!self.background_hits).then_some(columns::BACKGROUND_HIT);
            let told = [columns::EXCLUDE_HIT].into_iter().chain(background);
            names.extend(told.filter(|name| table.stores_column(name)));
        }
        if self.repeats {
            names.extend([columns::HIT_ID_REST, columns::FILE]);
        }
        if self.visit_rules.is_some() {
            let visits = [columns::VISIT_NUM, columns::VISIT_START, columns::VISIT_ID];
            names.extend(visits.into_iter().filter(|name| table.stores_column(name)));
        }
        names.extend(self.flag());
        if self.at_hits {
            names.push(columns::STANDS_AT_HIT);
        }
        if self.anchored {
            let snapshot = ["snapshot_time", "snapshot_seq", columns::SNAPSHOT_REST];
            names.extend([columns::ROW_KIND, columns::MATCH_STATUS].into_iter().chain(snapshot));
        }
        let metric = match &self.metric {
            Metric::Column(name) => Some(name.as_str()),
            Metric::One | Metric::None => None,
        };
        names.extend(self.dimension.as_deref().into_iter().chain(self.set.as_deref()).chain(metric));
        let mut fields: Vec<Field> = vec![];
        for name in names {
            if fields.iter().all(|f| f.name() != name) {
                let known = || columns::key_field(name).unwrap_or_else(|| columns::dimension(name));
                fields.push(table.field(name).unwrap_or_else(known));
            }
        }
        fields
    }
}
