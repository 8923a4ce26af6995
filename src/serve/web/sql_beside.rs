//! What stands beside a statement: the tables with their columns, and statements to begin with.

use arrow::datatypes::{DataType, SchemaRef};
use maud::{Markup, html};

use super::layout::link;
use crate::serve::session::Session;

/// Statements to begin with, each in words.
const EXAMPLES: [(&str, &str); 6] = [
    ("All tables", "SHOW TABLES"),
    ("The last rows of one visitor after another", "SELECT * FROM events ORDER BY visitor_id, hit_time DESC LIMIT 50"),
    (
        "Credit by tracking code",
        "SELECT item, credit\nFROM attribution('orders', 'tracking_code', model => 'linear', lookback => '30 days')\n\
         ORDER BY credit DESC",
    ),
    (
        "Participation by month",
        "SELECT month, item, credit\nFROM participation('orders', 'tracking_code', by => 'month')\nORDER BY month, credit DESC",
    ),
    (
        "What became of offline records",
        "SELECT source, match_status, count(*) AS rows\nFROM events\nWHERE row_kind <> 'online'\nGROUP BY 1, 2\nORDER BY 1, 2",
    ),
    ("Rejected rows", "SELECT file, line, \"column\", reason FROM rejects ORDER BY file, line LIMIT 100"),
];

/// A table's name with its columns.
pub(super) type Columns = (String, SchemaRef);

/// The tables that a session sees; one that cannot be read now is left out: its statements say why.
pub(super) async fn tables(session: &Session) -> Vec<Columns> {
    let mut all = vec![];
    for name in session.engine.tables().await.unwrap_or_default() {
        if let Ok(columns) = session.engine.columns(&name).await {
            all.push((name, columns));
        }
    }
    all
}

/// All of it, for a page of this suite.
pub(super) fn beside(tables: &[Columns], suite: &str) -> Markup {
    html! {
        aside aria-label="Tables and examples" {
            section aria-labelledby="tables" {
                h2 id="tables" { "Tables" }
                @for (name, columns) in tables {
                    details {
                        summary { (name) }
                        p { a href=(link("/sql", &[("suite", suite), ("q", &first_rows(name))])) { "First rows" } }
                        ul.columns {
                            @for column in columns.fields() { li { code { (column.name()) } " " span.pale { (kind(column.data_type())) } } }
                        }
                    }
                }
            }
            section aria-labelledby="examples" {
                h2 id="examples" { "Examples" }
                ul.columns {
                    @for (words, sql) in EXAMPLES { li { a href=(link("/sql", &[("suite", suite), ("q", sql)])) { (words) } } }
                }
            }
        }
    }
}

fn first_rows(table: &str) -> String {
    format!("SELECT * FROM {} LIMIT 100", crate::quote::quoted_where_needed(table))
}

/// A type in a word, as SQL has it.
fn kind(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Dictionary(_, values) => kind(values),
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(..) => "timestamp",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "decimal",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "double",
        number if number.is_integer() => "integer",
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "list",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::Statement;

    #[test]
    fn examples_are_statements() {
        for (words, sql) in EXAMPLES {
            assert_eq!(Statement::all(sql).unwrap().len(), 1, "{words}");
        }
    }
}
