//! The plan of `events`, kept by a session: it is the same as long as what it is made of is.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::logical_expr::LogicalPlan;

use crate::lake::Snapshot;
use crate::sealed::Sealed;

/// What the plan of `events` hangs on.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    /// The tables that it reads.
    pub tables: [Arc<Snapshot>; 2],
    /// The settings of suites, the suite that was chosen, and the version of persons.
    pub settings: String,
}

impl Basis {
    fn is(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<Snapshot>, &Arc<Snapshot>)| {
            // a table that was made anew has a version of the same number, and other files
            let (files, others) = (one.files.iter(), other.files.iter());
            one.version == other.version
                && one.schema == other.schema
                && files.map(|file| &file.relative).eq(others.map(|file| &file.relative))
        };
        self.settings == other.settings && self.tables.iter().zip(&other.tables).all(same)
    }
}

/// The plan that a session made last.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptEvents(Arc<Mutex<Option<KeptPlan>>>);

/// A plan, and what it was made of.
type KeptPlan = (Basis, Sealed<LogicalPlan>);

impl KeptEvents {
    /// The one with this basis, if it is the last.
    pub fn find(&self, basis: &Basis) -> Option<Sealed<LogicalPlan>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(known, _)| known.is(basis)).map(|(_, plan)| plan.clone())
    }

    /// Keeps one in place of another.
    pub fn keep(&self, basis: Basis, plan: &Sealed<LogicalPlan>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((basis, plan.clone()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashMap;

    use datafusion::logical_expr::LogicalPlanBuilder;

    use super::*;
    use crate::lake::{DataFile, Lake};

    /// With one file of hits.
    fn basis(file: &str, version: u64, settings: &str) -> Basis {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let file = DataFile {
            relative: file.into(),
            path: file.into(),
            size: 1,
            rows: None,
            hit_time: None,
            tags: HashMap::new(),
        };
        let mut hits = Snapshot::missing(&lake, "hits").unwrap().only(vec![file]);
        hits.version = Some(version);
        let integrated = Snapshot::missing(&lake, "integrated").unwrap();
        Basis { tables: [Arc::new(hits), Arc::new(integrated)], settings: settings.into() }
    }

    #[test]
    fn a_plan_is_found_where_nothing_changed() {
        let (kept, plan) = (KeptEvents::default(), LogicalPlanBuilder::empty(true).build().unwrap());
        assert!(kept.find(&basis("a", 3, "web")).is_none());
        kept.keep(basis("a", 3, "web"), &Sealed::new(plan.clone()));
        assert_eq!(*kept.find(&basis("a", 3, "web")).unwrap(), plan);
        for other in [basis("a", 4, "web"), basis("b", 3, "web"), basis("a", 3, "shop")] {
            assert!(kept.find(&other).is_none(), "{other:?}");
        }
    }
}
