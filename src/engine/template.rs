//! SQL of `queries/` with the columns that the data has.
//!
//! A query names columns that every lake has, and asks for the others by class:
//!
//! * `{{, dimensions of t}}`: every dimension, from `t` where `t` has it, else NULL; the same for `metrics`. The columns
//!   `_set` beside dimensions are none of them.
//! * `{{, dimensions: f($) AS $}}`: the pattern once a dimension, `$` being the quoted column, `'$'` its name as
//!   text, `"own_$"` another name made of it.
//! * `{{, touches of t if condition}}`: for every dimension with a column `_set` beside it, what a row of `t` touches under
//!   that name: where the condition holds what it set, if `t` says so, else the dimension's value. `if flagged` asks the
//!   flag of each dimension. `{{, touches: ...}}` is the pattern once for each of these dimensions.
//!
//! The comma inside the braces is written only when the list is not empty.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field, Schema};

use crate::columns::{is_dimension, is_metric, may_be_carried, persisted_flag, set_column};
use crate::quote::quoted;
use crate::{Error, Result};

/// The columns of the tables that a query reads.
#[derive(Debug, Default, Clone)]
pub struct Columns {
    dimensions: BTreeMap<NaturalName, DataType>,
    metrics: BTreeMap<NaturalName, DataType>,
    /// Dimensions with a column of what was set.
    touches: BTreeMap<NaturalName, DataType>,
    of: BTreeMap<String, BTreeSet<String>>,
    /// Dimensions of which a table says on every row what was set.
    listed: BTreeMap<String, BTreeSet<String>>,
}

impl Columns {
    /// Adds the dimensions and metrics of a table.
    pub fn with_table(mut self, name: &str, schema: &Schema) -> Self {
        let mut own = BTreeSet::new();
        for field in schema.fields() {
            let list = match field {
                f if is_metric(f) => &mut self.metrics,
                f if is_dimension(f) => &mut self.dimensions,
                f => {
                    // flags among them say what columns mean
                    own.insert(f.name().clone());
                    continue;
                }
            };
            list.insert(NaturalName::new(field.name()), field.data_type().clone());
            own.insert(field.name().clone());
        }
        self.of.insert(name.into(), own);
        self
    }

    /// Notes the dimensions of which a table itself says on every row what the row set.
    pub fn telling(mut self, table: &str, dimensions: BTreeSet<String>) -> Self {
        self.listed.insert(table.into(), dimensions);
        self
    }

    /// Tells what was set from what is carried where a table of those so far does.
    pub fn with_known_touches(mut self) -> Self {
        let known = |dimension: &str| self.of.values().any(|own| own.contains(&set_column(dimension)));
        let touches = self.dimensions.iter().filter(|(name, data_type)| carried(name, data_type) && known(&name.name));
        self.touches = touches.map(|(name, data_type)| (name.clone(), data_type.clone())).collect();
        self.without_set_columns()
    }

    /// Tells what was set from what is carried for every dimension of the tables so far.
    pub fn with_all_touches(mut self) -> Self {
        let touches = self.dimensions.iter().filter(|(name, data_type)| carried(name, data_type));
        self.touches = touches.map(|(name, data_type)| (name.clone(), data_type.clone())).collect();
        self.without_set_columns()
    }

    /// A column beside a dimension that says where it was set is no dimension.
    fn without_set_columns(mut self) -> Self {
        let touches: BTreeSet<String> = self.touches.keys().map(|name| set_column(&name.name)).collect();
        self.dimensions.retain(|name, _| !touches.contains(&name.name));
        self
    }

    /// Keeps only the dimensions for which `keep` is true.
    pub fn filter_dimensions(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.dimensions.retain(|name, _| keep(&name.name));
        self
    }

    /// The query with its placeholders filled in.
    pub fn expand(&self, sql: &str) -> Result<String> {
        let mut out = String::with_capacity(sql.len() * 2);
        let mut rest = sql;
        while let Some(start) = rest.find("{{") {
            let end = rest[start..].find("}}").ok_or_else(|| Error::bug("query template: {{ without }}"))? + start;
            out.push_str(&rest[..start]);
            out.push_str(&self.items(rest[start + 2..end].trim())?);
            rest = &rest[end + 2..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn items(&self, placeholder: &str) -> Result<String> {
        let (comma, body) = match placeholder.strip_prefix(',') {
            Some(body) => (", ", body.trim()),
            None => ("", placeholder),
        };
        let unknown = || Error::bug(format!("query template: unknown placeholder {placeholder}"));
        let class = body.split([' ', ':']).next().unwrap_or_default();
        let list = match class {
            "dimensions" => &self.dimensions,
            "metrics" => &self.metrics,
            "touches" => &self.touches,
            _ => return Err(unknown()),
        };
        let rest = &body[class.len()..];
        let items: Vec<String> = if let Some(pattern) = rest.strip_prefix(':') {
            list.keys().map(|n| fill(pattern.trim(), &n.name)).collect()
        } else if let Some((table, condition)) =
            rest.trim().strip_prefix("of ").and_then(|rest| rest.split_once(" if ")).filter(|_| class == "touches")
        {
            let own = self.of.get(table.trim()).ok_or_else(unknown)?;
            let listed = |name: &String| self.listed.get(table.trim()).is_some_and(|listed| listed.contains(name));
            let condition = |name| if listed(name) { "true" } else { condition.trim() };
            list.keys().map(|n| touch_item(table.trim(), &n.name, condition(&n.name), own)).collect()
        } else if let Some(table) = rest.trim().strip_prefix("of ").filter(|_| class != "touches") {
            let own = self.of.get(table.trim()).ok_or_else(unknown)?;
            list.iter().map(|(n, data_type)| select_item(table.trim(), &n.name, data_type, own)).collect()
        } else {
            return Err(unknown());
        };
        Ok(if items.is_empty() { String::new() } else { format!("{comma}{}", items.join(", ")) })
    }
}

/// Fills in `$`: a quoted identifier where it stands alone, the bare name within quotes of either kind.
fn fill(pattern: &str, name: &str) -> String {
    let mut out = String::new();
    let mut within = None;
    for c in pattern.chars() {
        match (c, within) {
            ('$', None) => out.push_str(&quoted(name)),
            ('$', Some(quote)) => out.push_str(&name.replace(quote, &format!("{quote}{quote}"))),
            ('"' | '\'', None) => {
                within = Some(c);
                out.push(c);
            }
            (c, Some(quote)) if c == quote => {
                within = None;
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// No text, of the type that texts of files have: beside a VARCHAR the engine would make views of them all.
const NO_TEXT: &str = "arrow_cast(NULL, 'Utf8')";

fn select_item(table: &str, name: &str, data_type: &DataType, own: &BTreeSet<String>) -> String {
    if own.contains(name) {
        return format!("{table}.{0} AS {0}", quoted(name));
    }
    let nothing = match data_type {
        DataType::Float64 => "CAST(NULL AS DOUBLE)",
        DataType::Int64 => "CAST(NULL AS BIGINT)",
        DataType::Boolean => "CAST(NULL AS BOOLEAN)",
        _ => NO_TEXT,
    };
    format!("{nothing} AS {}", quoted(name))
}

/// What a row of `table` touches of a dimension, under the name of what was set.
fn touch_item(table: &str, name: &str, condition: &str, own: &BTreeSet<String>) -> String {
    let set = set_column(name);
    let column = |name: &str| match own.contains(name) {
        true => format!("{table}.{}", quoted(name)),
        false => NO_TEXT.to_string(),
    };
    let flag = persisted_flag(name);
    let condition = match condition {
        "flagged" => own.contains(flag).then(|| format!("{table}.{flag}")),
        other => Some(other.to_string()),
    };
    let touch = match condition.filter(|_| own.contains(&set)) {
        Some(condition) => format!("CASE WHEN {condition} THEN {} ELSE {} END", column(&set), column(name)),
        None => column(name),
    };
    format!("{touch} AS {}", quoted(&set))
}

fn carried(name: &NaturalName, data_type: &DataType) -> bool {
    may_be_carried(&Field::new(&name.name, data_type.clone(), true))
}

/// A name that sorts as people count: evar2 before evar10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct NaturalName {
    stem: String,
    number: u64,
    name: String,
}

impl NaturalName {
    fn new(name: &str) -> Self {
        let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (stem, number) = name.split_at(digits);
        Self { stem: stem.into(), number: number.parse().unwrap_or_default(), name: name.into() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::columns::{dimension, metric};

    #[test]
    fn lists_follow_the_data() {
        let hits = Schema::new(vec![dimension("evar10"), dimension("evar2"), metric("orders")]);
        let offline = Schema::new(vec![dimension("evar2"), metric("event1")]);
        let columns = Columns::default().with_table("hits", &hits).with_table("o", &offline);
        let sql = columns.expand("SELECT 1{{, dimensions of o}}{{, metrics: coalesce($, 0) AS $}} FROM o").unwrap();
        assert_eq!(
            sql,
            "SELECT 1, o.\"evar2\" AS \"evar2\", arrow_cast(NULL, 'Utf8') AS \"evar10\", \
             coalesce(\"event1\", 0) AS \"event1\", coalesce(\"orders\", 0) AS \"orders\" FROM o"
        );
        assert_eq!(Columns::default().expand("a{{, metrics: $}}").unwrap(), "a");
        assert!(columns.expand("{{nonsense}}").is_err());
    }

    #[test]
    fn touches_stand_beside_their_dimensions() {
        let feed = Schema::new(["evar2", "evar2_set", "data_set", "prop1"].map(dimension).to_vec());
        let mapped = Schema::new(["evar2", "list1"].map(dimension).to_vec());
        let columns = Columns::default().with_table("f", &feed).with_table("m", &mapped);
        let known = columns.clone().with_known_touches();
        assert_eq!(
            known.expand("{{dimensions: $}}|{{touches of f if f.persisted}}|{{touches of m if true}}").unwrap(),
            "\"data_set\", \"evar2\", \"list1\", \"prop1\"\
             |CASE WHEN f.persisted THEN f.\"evar2_set\" ELSE f.\"evar2\" END AS \"evar2_set\"\
             |m.\"evar2\" AS \"evar2_set\""
        );
        let all = columns.with_all_touches();
        assert_eq!(all.expand("{{touches: own_$}}").unwrap().matches("own_").count(), 3);
        assert!(all.expand("{{touches of f}}").is_err());
    }
}
