//! Credit as rows of the answer: an item a row, or a group of conversions and an item.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::error::Result;

use super::JourneySpec;
use super::breakdown::Groups;
use crate::attribution::{ItemCredits, NONE};

/// What each model of a specification gives. `names` are those of items by number; `groups`, where the answer is broken down, tell
/// to which pair of a group and an item a number of the credit belongs.
pub(super) fn credit_rows<'c>(
    spec: &JourneySpec,
    names: &[Arc<str>],
    groups: Option<&Groups>,
    models: impl Iterator<Item = &'c ItemCredits>,
) -> Result<RecordBatch> {
    if let Some(groups) = groups.filter(|_| !spec.selection.by.is_empty()) {
        return broken_down(spec, names, groups, models);
    }
    // an item is listed when any model lists it; the others say NULL
    let count = names.len();
    let of_model = |credits: &ItemCredits| {
        let mut column: Vec<Option<f64>> = vec![None; count + 1];
        for (item, amount) in credits.iter() {
            let slot = if item == NONE { count } else { item as usize };
            column[slot] = Some(amount);
        }
        column
    };
    let credit: Vec<Vec<Option<f64>>> = models.map(of_model).collect();
    let listed: Vec<usize> = (0..=count).filter(|&slot| credit.iter().any(|c| c[slot].is_some())).collect();
    let listed_names: StringArray = listed.iter().map(|&slot| names.get(slot).map(|name| &**name)).collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(listed_names)];
    for column in &credit {
        columns.push(Arc::new(listed.iter().map(|&slot| column[slot]).collect::<Float64Array>()));
    }
    Ok(RecordBatch::try_new(spec.output(), columns)?)
}

/// A group and item a row.
fn broken_down<'c>(
    spec: &JourneySpec,
    names: &[Arc<str>],
    groups: &Groups,
    models: impl Iterator<Item = &'c ItemCredits>,
) -> Result<RecordBatch> {
    let pairs = groups.pairs();
    let mut columns = groups.columns(&spec.selection.by, pairs.iter().map(|(group, _)| *group))?;
    let items = pairs.iter().map(|(_, item)| names.get(*item as usize).map(|name| &**name));
    columns.push(Arc::new(items.collect::<StringArray>()));
    for credits in models {
        let mut column: Vec<Option<f64>> = vec![None; pairs.len()];
        credits.iter().for_each(|(pair, amount)| column[pair as usize] = Some(amount));
        columns.push(Arc::new(Float64Array::from(column)));
    }
    Ok(RecordBatch::try_new(spec.output(), columns)?)
}
