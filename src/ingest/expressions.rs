//! The values of a mapping, compiled against the columns of one file.
//!
//! In: a [`Mapping`] and a [`MappedFile`]. Out: the columns of the file that are needed, and one expression for each mapped
//! value. A value that is exactly a column's name is that column, as it stands in the file; everything else is SQL over the
//! columns, in which names keep their case and CSV columns that hold nothing but numbers are numbers.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, SchemaError};
use datafusion::logical_expr::{Expr, cast};
use datafusion::sql::sqlparser::ast::{AccessExpr, Expr as SqlExpr, Subscript, Value as SqlValue, Visitor};
use rejoin_instances::syntax::look;
use rejoin_instances::trees::change_parts_down;

use super::cells::Complaints;
use super::computed::{Computed, MAX_SHOWN_BYTES, parsed, root, session};
use super::json_shape::Wanted;
use super::mapped_file::MappedFile;
use super::mapping::Mapping;
use super::products::{Lines, Products};
use crate::columns::{CUSTOMER_ID, TRANSACTION_ID, VISITOR_ID};
use crate::engine::misplaced::beyond_one_row;
use crate::feed::row_issue::clip;
use crate::{Error, Result};

/// What a mapped value is in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The visitor id.
    Visitor,
    /// The time.
    Time,
    /// The visit's number or name.
    Visit,
    /// The transaction ID.
    Transaction,
    /// The customer ID.
    Customer,
    /// The key.
    Key,
    /// The currency of the amounts.
    Currency,
    /// A dimension of this name.
    Dimension(String),
    /// A metric of this name.
    Metric(String),
    /// Something of the product lines.
    Lines(Lines),
}

/// A mapping, ready for the batches of one file.
pub struct Expressions {
    /// Columns of the file that are read.
    pub columns: Vec<usize>,
    /// Mapped values that no row of the file has (JSON leaves out what is missing), and what it has instead.
    pub absent: Vec<(String, String)>,
    compiled: Vec<Compiled>,
}

struct Compiled {
    place: Meaning,
    /// The key in the mapping, for messages.
    key: String,
    value: Computed,
}

/// One value of all rows of a batch.
pub struct Evaluated<'a> {
    /// What it is.
    pub place: &'a Meaning,
    /// The key in the mapping, for messages.
    pub key: &'a str,
    /// The values.
    pub values: ArrayRef,
}

impl Expressions {
    /// Compiles all values of the mapping. Errors name the key, and for an unknown column the nearest one.
    pub fn compile(mapping: &Mapping, file: &MappedFile) -> Result<Self> {
        let context = session();
        let state = context.state();
        let all = DFSchema::try_from(file.schema.as_ref().clone())?;
        let as_taken = DFSchema::try_from(as_taken(file))?;
        let mut absent = vec![];
        let mut logical = vec![];
        for (place, key, text) in values(mapping) {
            let at = |e: Error| e.at(shown(&key, text));
            let (lacking, all_lack) = if file.may_lack_columns() { lacking(text, file) } else { (None, false) };
            if let Some((path, name)) = lacking {
                let reason = format!("no row of the file has {path}{}", file.lacks(&name));
                if all_lack && matches!(place, Meaning::Time | Meaning::Visitor) {
                    return Err(at(Error::refused(reason)));
                }
                absent.push((key.clone(), reason));
            }
            let expressions = if file.schema.index_of(text).is_ok() {
                let raw = Expr::Column(Column::from_name(text));
                // a visit is a number where all its cells are; everything else is taken as it is written
                if place == Meaning::Visit { vec![typed(raw, file)?] } else { vec![raw] }
            } else {
                let sql = parsed(text).map_err(|e| at(unknown(&e, file)))?;
                if let Some(what) = beyond_one_row(&sql) {
                    return Err(at(Error::refused(format!(
                        "{what} looks at many rows, and a mapped value at its own row"
                    ))));
                }
                let planned = |columns: &DFSchema| state.create_logical_expr_from_sql_expr(sql.clone(), columns);
                // some words of SQL ask at once what their columns are
                let parsed = planned(&all).or_else(|e| planned(&as_taken).map_err(|_| e));
                let parsed = parsed.map_err(|e| at(unknown(&e, file)))?;
                vec![typed(parsed.clone(), file)?, parsed.clone(), with_texts(parsed, file)?]
            };
            logical.push((place, key, text, expressions));
        }
        let used: BTreeSet<usize> = logical
            .iter()
            .flat_map(|(_, _, _, expressions)| expressions.iter().flat_map(Expr::column_refs))
            .filter_map(|column| file.schema.index_of(&column.name).ok())
            .collect();
        let columns: Vec<usize> = used.into_iter().collect();
        let read = Arc::new(file.schema.project(&columns)?);
        let schema = DFSchema::try_from(read.as_ref().clone())?;
        let mut compiled = vec![];
        for (place, key, text, expressions) in logical {
            // where SQL wants text of a column that holds numbers, its cells serve as they are
            let plan = |e: &Expr| Computed::plan(&state, e, &schema, &read);
            let others = expressions[1..].iter();
            let planned = plan(&expressions[0]).or_else(|e| others.map(plan).find_map(Result::ok).ok_or(e));
            let value = planned.map_err(|e| unknown(&e, file).at(shown(&key, text)))?;
            compiled.push(Compiled { place, key, value });
        }
        Ok(Self { columns, absent, compiled })
    }

    /// The type of the mapped value in this place.
    pub fn data_type(&self, place: &Meaning) -> Option<&DataType> {
        self.compiled.iter().find(|c| c.place == *place).map(|c| &c.value.data_type)
    }

    /// Evaluates everything over some rows. A row for which a value cannot be computed is bad, and not its file.
    pub fn evaluate(&self, batch: &RecordBatch, complaints: &mut Complaints) -> Result<Vec<Evaluated<'_>>> {
        let evaluate = |compiled| {
            let Compiled { place, key, value }: &Compiled = compiled;
            let values = value.values(batch, &mut |row, why| complaints.add(row, key, why, ""))?;
            Ok(Evaluated { place, key, values })
        };
        self.compiled.iter().map(evaluate).collect()
    }
}

fn values(mapping: &Mapping) -> Vec<(Meaning, String, &str)> {
    let keys = [
        (Meaning::Time, "time", Some(&mapping.time)),
        (Meaning::Visitor, VISITOR_ID, mapping.visitor_id.as_ref()),
        (Meaning::Visit, "visit", mapping.visit.as_ref()),
        (Meaning::Transaction, TRANSACTION_ID, mapping.transaction_id.as_ref()),
        (Meaning::Customer, CUSTOMER_ID, mapping.customer_id.as_ref()),
        (Meaning::Key, "key", mapping.key.as_ref()),
        (Meaning::Currency, "currency.code", mapping.currency.as_ref().map(|currency| &currency.code)),
    ];
    let keys = keys.into_iter().filter_map(|(place, key, text)| Some((place, key.to_string(), text?.as_str())));
    let dimensions = mapping.dimensions.iter();
    let dimensions =
        dimensions.map(|(n, text)| (Meaning::Dimension(n.clone()), format!("dimensions.{n}"), text.as_str()));
    let metrics = mapping.metrics.iter();
    let metrics = metrics.map(|(n, text)| (Meaning::Metric(n.clone()), format!("metrics.{n}"), text.as_str()));
    let lines = mapping.products.iter().flat_map(Products::values);
    let lines = lines.map(|(lines, key, text)| (Meaning::Lines(lines), key, text));
    keys.chain(dimensions).chain(metrics).chain(lines).collect()
}

/// The columns as SQL may take them: as numbers where all cells are, as texts where no row has a value.
fn as_taken(file: &MappedFile) -> Schema {
    let taken = |(field, number): (&Arc<Field>, &Option<DataType>)| {
        let data_type = match (number, field.data_type()) {
            (Some(number), _) => number.clone(),
            (None, DataType::Null) => DataType::Utf8,
            (None, data_type) => data_type.clone(),
        };
        field.as_ref().clone().with_data_type(data_type)
    };
    Schema::new(file.schema.fields().iter().zip(&file.numbers).map(taken).collect::<Vec<_>>())
}

/// What no row has is a text that is not there, for functions that take nothing else.
fn with_texts(expression: Expr, file: &MappedFile) -> Result<Expr> {
    let mut cast_column = |e: Expr| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        match file.schema.field_with_name(&column.name) {
            Ok(field) if field.data_type().is_null() => {
                Ok(Transformed::new(cast(e, DataType::Utf8), true, TreeNodeRecursion::Jump))
            }
            _ => Ok(Transformed::no(e)),
        }
    };
    Ok(change_parts_down(expression, &mut cast_column)?.data)
}

/// Columns of a CSV file that hold nothing but numbers become numbers in SQL.
fn typed(expression: Expr, file: &MappedFile) -> Result<Expr> {
    if file.numbers.iter().all(Option::is_none) {
        return Ok(expression);
    }
    let mut cast_column = |e: Expr| {
        if parses_text(&e) {
            return Ok(Transformed::new(e, false, TreeNodeRecursion::Jump));
        }
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        let index = file.schema.index_of(&column.name).ok();
        let number = index.and_then(|i| file.numbers.get(i)).cloned().flatten();
        Ok(match number {
            // what was put around a column is not looked at again
            Some(number) => Transformed::new(cast(e, number), true, TreeNodeRecursion::Jump),
            None => Transformed::no(e),
        })
    };
    Ok(change_parts_down(expression, &mut cast_column)?.data)
}

/// True for a function that reads a text by a format: what looks like a number there is a text all the same.
fn parses_text(expression: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expression else { return false };
    call.args.len() > 1
        && (call.name() == "parse_number"
            || call.name().starts_with("to_date")
            || call.name().starts_with("to_timestamp"))
}

/// The places of a file that the mapping's values name.
pub fn wanted(mapping: &Mapping) -> Wanted {
    let mut wanted = Wanted::default();
    for (_, _, text) in values(mapping) {
        // what is exactly a column's name is that column
        wanted.add_if_there(text);
        let Paths { paths, lists, .. } = paths(text);
        paths.iter().for_each(|path| wanted.add(path.iter().map(String::as_str)));
        lists.iter().for_each(|list| wanted.add_list(list.iter().map(String::as_str)));
    }
    if let Some(list) = &mapping.unnest {
        wanted.add([list.as_str()]);
    }
    wanted
}

/// The first value that an expression names and no row has, as it is written and with the name of its column; and whether
/// rows have none of the values that it names.
fn lacking(text: &str, file: &MappedFile) -> (Option<(String, String)>, bool) {
    if file.has(&[text.to_string()]) {
        return (None, false);
    }
    let paths = paths(text).paths;
    let mut lacking = paths.iter().filter(|path| !file.has(path));
    let Some(path) = lacking.next() else { return (None, false) };
    let inner = path[1..].iter().map(|part| format!("['{part}']"));
    let whole = format!("{}{}", path[0], inner.collect::<String>());
    let shown = (clip(&whole, MAX_SHOWN_BYTES).to_string(), path[0].clone());
    (Some(shown), lacking.count() + 1 == paths.len())
}

/// The columns that an expression names, each with the way into it. What is no SQL names none.
fn paths(text: &str) -> Paths {
    let mut found = Paths::default();
    // also where SQL has another meaning for it
    if text.starts_with(char::is_alphabetic) && text.chars().all(|c| c.is_alphanumeric() || c == '_') {
        found.paths.push(vec![text.to_string()]);
    } else if let Ok(expression) = parsed(text) {
        let _ = look(&expression, &mut found);
    }
    found
}

#[derive(Default)]
struct Paths {
    paths: Vec<Vec<String>>,
    /// Those of which an element is named by its number.
    lists: Vec<Vec<String>>,
    /// Roots that are part of a path.
    taken: BTreeSet<usize>,
    /// Parameters of lambdas are no columns.
    parameters: BTreeSet<String>,
}

impl Visitor for Paths {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &SqlExpr) -> ControlFlow<()> {
        let address = |expression: &SqlExpr| std::ptr::from_ref(expression) as usize;
        match expression {
            SqlExpr::Identifier(name) if !self.taken.contains(&address(expression)) => {
                self.add(vec![name.value.clone()]);
            }
            SqlExpr::CompoundIdentifier(names) => self.add(names.iter().map(|name| name.value.clone()).collect()),
            SqlExpr::CompoundFieldAccess { root, access_chain } => {
                let mut path = match root.as_ref() {
                    SqlExpr::Identifier(name) => vec![name.value.clone()],
                    SqlExpr::CompoundIdentifier(names) => names.iter().map(|name| name.value.clone()).collect(),
                    _ => return ControlFlow::Continue(()),
                };
                self.taken.insert(address(root));
                for access in access_chain {
                    let part = match access {
                        AccessExpr::Dot(SqlExpr::Identifier(name)) => name.value.clone(),
                        AccessExpr::Subscript(Subscript::Index { index: SqlExpr::Value(value) }) => {
                            match &value.value {
                                SqlValue::SingleQuotedString(text) => text.clone(),
                                SqlValue::Number(..) if !self.parameters.contains(&path[0]) => {
                                    self.lists.push(path.clone());
                                    break;
                                }
                                _ => break,
                            }
                        }
                        _ => break,
                    };
                    path.push(part);
                }
                self.add(path);
            }
            SqlExpr::Lambda(lambda) => self.parameters.extend(lambda.params.iter().map(|p| p.name.value.clone())),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Paths {
    fn add(&mut self, path: Vec<String>) {
        if !self.parameters.contains(&path[0]) {
            self.paths.push(path);
        }
    }
}

fn unknown(error: &DataFusionError, file: &MappedFile) -> Error {
    if let DataFusionError::SchemaError(e, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, .. } = e.as_ref()
    {
        let name = clip(&field.name, MAX_SHOWN_BYTES);
        return Error::refused(format!("the file has no column {name}{}", file.lacks(name)));
    }
    Error::refused(clip(&root(error), 2 * MAX_SHOWN_BYTES))
}

/// A value of the mapping, for messages.
fn shown(key: &str, text: &str) -> String {
    format!("mapping {key} = {:?}", clip(text, 2 * MAX_SHOWN_BYTES))
}
