//! The values of the columns that filters are about, to choose from, the most frequent first.

use super::answer::rows;
use super::context::ReportContext;
use super::filters::{LINES, parts};
use super::question::Question;
use crate::quote::quoted;

/// Values that are listed of a column.
const LISTED: usize = 200;

/// The values by line of the form, where they are asked for.
pub(super) async fn values(context: &ReportContext, question: &Question) -> Vec<(String, Vec<String>)> {
    let mut all = vec![];
    if !question.has("list") {
        return all;
    }
    for line in LINES {
        let [_, column, ..] = parts(line);
        let column = question.get(&column);
        if !context.dimensions.iter().any(|(name, _)| name == column) {
            continue;
        }
        let name = quoted(column);
        let sql = format!(
            "SELECT {name}, count(*) AS times FROM events WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {LISTED}"
        );
        // a value can be typed where none can be listed
        let Ok(table) = rows(&context.session, &sql).await else { continue };
        all.push((line.to_string(), table.rows.iter().map(|row| row[0].label()).collect()));
    }
    all
}
