//! The values of a mapping, compiled against the columns of one file.
//!
//! In: a [`Mapping`] and a [`MappedFile`]. Out: the columns of the file that are needed, and one expression for each mapped
//! value. A value that is exactly a column's name is that column, as it stands in the file; everything else is SQL over the
//! columns, in which names keep their case and CSV columns that hold nothing but numbers are numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, SchemaError};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript,
    Value as SqlValue, Visitor,
};
use rejoin_instances::syntax::walk;
use rejoin_instances::trees::change_parts_down;

use super::cells::{RowFaults, of_bytes};
use super::computed::{Computed, INSTANT, MAX_SHOWN_BYTES, TEXT, missing_as, parsed, root, session};
use super::json_shape::Wanted;
use super::mapped_file::MappedFile;
use super::mapping::Mapping;
use super::products::{Lines, Products};
use crate::columns::{CUSTOMER_ID, TRANSACTION_ID, VISITOR_ID};
use crate::engine::misplaced::beyond_one_row;
use crate::feed::row_issue::clip;
use crate::functions::rows::function;
use crate::{Error, Result};

/// The type of a UUID in Parquet.
const UUID: DataType = DataType::FixedSizeBinary(16);

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
    /// Those of them that are dimensions as they stand there, and nothing else.
    pub dimensions: Vec<usize>,
    /// Mapped values that no row of the file has (JSON leaves out what is missing), and what it has instead.
    pub absent: Vec<(String, String)>,
    compiled: Vec<Compiled>,
}

struct Compiled {
    place: Meaning,
    /// The key in the mapping, for messages.
    key: String,
    value: Computed,
    /// The column whose texts it reads as numbers, among those that are read.
    number_text: Option<usize>,
}

/// One value of all rows of a batch.
pub struct Evaluated<'a> {
    /// What it is.
    pub place: &'a Meaning,
    /// The key in the mapping, for messages.
    pub key: &'a str,
    /// The values.
    pub values: ArrayRef,
    /// Rows that have none because their text is no number, with that text.
    pub unread: Vec<(usize, String)>,
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
                if matches!(sql.expr, SqlExpr::Lambda(_)) {
                    let advice = "json_get_json(column, 'key') looks into JSON, and column ->> 'key' gives its text";
                    return Err(at(Error::refused(format!("-> is a lambda here, and no value; {advice}"))));
                }
                if let Some(what) = beyond_one_row(&sql) {
                    return Err(at(Error::refused(format!(
                        "{what} looks at many rows, and a mapped value at its own row"
                    ))));
                }
                let planned = |columns: &DFSchema| state.create_logical_expr_from_sql_expr(sql.clone(), columns);
                // some words of SQL ask at once what their columns are
                let parsed = planned(&all).or_else(|e| planned(&as_taken).map_err(|_| e));
                let parsed = parsed.map_err(|e| at(unknown(&e, file)))?;
                let missing = |data_type: &DataType| missing_as(parsed.clone(), &all, data_type);
                let forms = [typed(parsed.clone(), file)?, parsed.clone()];
                let written = uuids_as_texts(parsed.clone(), &all)?;
                forms.into_iter().chain([missing(&TEXT)?, missing(&INSTANT)?, written]).collect()
            };
            logical.push((place, key, text, expressions));
        }
        let is_column =
            |place: &Meaning, text: &str| matches!(place, Meaning::Dimension(_)) && file.schema.index_of(text).is_ok();
        let used = |as_columns: bool| -> BTreeSet<usize> {
            let values = logical.iter().filter(|(place, _, text, _)| is_column(place, text) == as_columns);
            let used = values.flat_map(|(_, _, _, expressions)| expressions.iter().flat_map(Expr::column_refs));
            used.filter_map(|column| file.schema.index_of(&column.name).ok()).collect()
        };
        let (as_columns, others) = (used(true), used(false));
        let columns: Vec<usize> = as_columns.union(&others).copied().collect();
        let dimensions: Vec<usize> = as_columns.difference(&others).copied().collect();
        let read = Arc::new(file.schema.project(&columns)?);
        let schema = DFSchema::try_from(read.as_ref().clone())?;
        let mut compiled = vec![];
        for (place, key, text, expressions) in logical {
            // where SQL wants text of a column that holds numbers, its cells serve as they are
            let planned = Computed::plan_first(&state, &expressions, &schema, &read);
            let value = planned.map_err(|e| unknown(&e, file).at(shown(&key, text)))?;
            let number_text = expressions.first().and_then(read_as_number);
            let number_text = number_text.and_then(|column| read.index_of(column).ok());
            compiled.push(Compiled { place, key, value, number_text });
        }
        Ok(Self { columns, dimensions, absent, compiled })
    }

    /// The type of the mapped value in this place.
    pub fn data_type(&self, place: &Meaning) -> Option<&DataType> {
        self.compiled.iter().find(|c| c.place == *place).map(|c| &c.value.data_type)
    }

    /// Evaluates everything over some rows. A row for which a value cannot be computed is bad, and not its file.
    pub fn evaluate(&self, batch: &RecordBatch, faults: &mut RowFaults) -> Result<Vec<Evaluated<'_>>> {
        let evaluate = |compiled| {
            let Compiled { place, key, value, number_text }: &Compiled = compiled;
            let values = value.values(batch, &mut |row, why| faults.add(row, key, why, ""))?;
            let unread = number_text.map_or_else(Vec::new, |column| unread(batch.column(column), &values));
            Ok(Evaluated { place, key, values, unread })
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

/// The columns as SQL may take them: as numbers where all cells are, as texts where no row has a value or all are UUIDs.
fn as_taken(file: &MappedFile) -> Schema {
    let taken = |(field, number): (&Arc<Field>, &Option<DataType>)| {
        let data_type = match (number, field.data_type()) {
            (Some(number), _) => number.clone(),
            (None, DataType::Null | DataType::FixedSizeBinary(16)) => DataType::Utf8,
            (None, data_type) => data_type.clone(),
        };
        field.as_ref().clone().with_data_type(data_type)
    };
    Schema::new(file.schema.fields().iter().zip(&file.numbers).map(taken).collect::<Vec<_>>())
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

/// UUIDs are texts with hyphens to functions that take no bytes.
fn uuids_as_texts(expression: Expr, columns: &DFSchema) -> Result<Expr> {
    let written = function("uuid_text", vec![UUID], TEXT, |rows| Ok(Arc::new(of_bytes(rows.array(0))?)));
    let mut write_uuid = |e: Expr| {
        let may_be = matches!(e, Expr::Column(_) | Expr::ScalarFunction(_));
        Ok(match may_be && e.get_type(columns).is_ok_and(|data_type| data_type == UUID) {
            // what was put around it is not looked at again
            true => Transformed::new(written.call(vec![e]), true, TreeNodeRecursion::Jump),
            false => Transformed::no(e),
        })
    };
    Ok(change_parts_down(expression, &mut write_uuid)?.data)
}

/// True for a function that reads a text, by a format or as people write it: what looks like a number there is a text all the same.
fn parses_text(expression: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expression else { return false };
    let has_format =
        call.name() == "parse_number" || call.name().starts_with("to_date") || call.name().starts_with("to_timestamp");
    call.name() == "parse_duration" || has_format && call.args.len() > 1
}

/// The column whose texts are read as numbers, where an expression does nothing else.
fn read_as_number(expression: &Expr) -> Option<&str> {
    let Expr::ScalarFunction(call) = expression else { return None };
    match call.args.first()? {
        Expr::Column(column) if matches!(call.name(), "parse_number" | "parse_duration") => Some(&column.name),
        _ => None,
    }
}

/// Rows without a value whose text says something, which is not that there is none.
fn unread(texts: &ArrayRef, values: &ArrayRef) -> Vec<(usize, String)> {
    let Some(texts) = texts.as_string_opt::<i32>().filter(|_| values.null_count() > 0) else { return vec![] };
    let says = |row: usize| Some(texts.value(row).trim()).filter(|text| !matches!(*text, "" | "-" | "–" | "—"));
    let missing = (0..values.len()).filter(|row| values.is_null(*row) && texts.is_valid(*row));
    missing.filter_map(|row| Some((row, says(row)?.to_string()))).collect()
}

/// The places of a file that the mapping's values name.
pub fn wanted(mapping: &Mapping) -> Wanted {
    let mut wanted = Wanted::default();
    // where a list is taken apart, its name is that of one of its elements
    let is_whole = |list: &[String]| mapping.unnest.as_ref().is_none_or(|unnest| *list != [unnest.as_str()]);
    for (_, _, text) in values(mapping) {
        // what is exactly a column's name is that column
        wanted.add_if_there(text);
        let Paths { paths, lists, elements, json, .. } = paths(text);
        paths.iter().for_each(|path| wanted.add(path.iter().map(String::as_str)));
        for whole in json.iter().filter(|whole| is_whole(whole)) {
            wanted.add_json(whole.iter().map(String::as_str));
        }
        for list in lists.iter().filter(|list| is_whole(list)) {
            wanted.add_list(list.iter().map(String::as_str));
        }
        for (list, part) in elements.iter().filter(|(list, _)| is_whole(list)) {
            wanted.add_element(list.iter().map(String::as_str), part.iter().map(String::as_str));
        }
    }
    if let Some((list, parts)) = mapping.products.as_ref().and_then(Products::of_elements)
        && let Some(list) = list_named(list).filter(|list| is_whole(list))
    {
        wanted.add_records(list.iter().map(String::as_str));
        for part in parts.flat_map(|part| paths(part).paths) {
            wanted.add_element(list.iter().map(String::as_str), part.iter().map(String::as_str));
        }
    }
    if let Some(list) = &mapping.unnest {
        wanted.add_records([list.as_str()]);
    }
    wanted
}

/// What the expressions over a product line name of it.
pub fn named_of_lines(products: &Products) -> BTreeSet<String> {
    let parts = products.of_elements().into_iter().flat_map(|(_, parts)| parts);
    parts.flat_map(|part| paths(part).paths).filter_map(|path| path.into_iter().next()).collect()
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
    if is_word(text) {
        found.paths.push(vec![text.to_string()]);
    } else if let Ok(expression) = parsed(text) {
        let _ = walk(&expression, &mut found);
    }
    found
}

/// The way to the list that an expression names, or of which it makes another.
fn list_named(text: &str) -> Option<Vec<String>> {
    match is_word(text) {
        true => Some(vec![text.to_string()]),
        false => parsed(text).ok().and_then(|expression| list_of(&expression.expr)),
    }
}

/// True for what is the name of a column, also where SQL has another meaning for it.
fn is_word(text: &str) -> bool {
    text.starts_with(char::is_alphabetic) && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[derive(Default)]
struct Paths {
    paths: Vec<Vec<String>>,
    /// Those that are taken for lists: an element is named by its number, or a function of lists has them.
    lists: Vec<Vec<String>>,
    /// Those that functions and operators of JSON look into.
    json: Vec<Vec<String>>,
    /// Lists of records, each with the way to a part of one.
    elements: Vec<(Vec<String>, Vec<String>)>,
    /// Roots that are part of a path.
    taken: BTreeSet<usize>,
    /// Parameters of lambdas are no columns.
    parameters: BTreeSet<String>,
    /// The list of whose elements such a parameter is one.
    lists_of_parameters: BTreeMap<String, Vec<String>>,
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
                    other => {
                        // a part of what a function makes of a list
                        let part: Vec<String> =
                            access_chain.iter().skip_while(|access| is_number(access)).map_while(part_of).collect();
                        if let Some(list) = list_of(other).filter(|_| !part.is_empty()) {
                            self.elements.push((list, part));
                        }
                        return ControlFlow::Continue(());
                    }
                };
                self.taken.insert(address(root));
                for (index, access) in access_chain.iter().enumerate() {
                    if let Some(part) = part_of(access) {
                        path.push(part);
                        continue;
                    }
                    if is_number(access) && !self.parameters.contains(&path[0]) {
                        self.lists.push(path.clone());
                        let part: Vec<String> = access_chain[index + 1..].iter().map_while(part_of).collect();
                        if !part.is_empty() {
                            self.elements.push((path.clone(), part));
                        }
                    }
                    break;
                }
                self.add(path);
            }
            SqlExpr::Lambda(lambda) => self.parameters.extend(lambda.params.iter().map(|p| p.name.value.clone())),
            SqlExpr::Function(call) => self.call(call),
            SqlExpr::BinaryOp { left, op, .. } if looks_into_json(op) => self.add_json(left),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Paths {
    fn add(&mut self, path: Vec<String>) {
        if !self.parameters.contains(&path[0]) {
            self.paths.push(path);
        } else if let Some(list) = self.lists_of_parameters.get(&path[0]).filter(|_| path.len() > 1) {
            self.elements.push((list.clone(), path[1..].to_vec()));
        }
    }

    fn add_json(&mut self, json: &SqlExpr) {
        let path = Some(json).filter(|json| !matches!(json, SqlExpr::Function(_))).and_then(list_of);
        self.json.extend(path.filter(|path| !self.parameters.contains(&path[0])));
    }

    /// What a function has is a list, where it takes nothing else.
    fn call(&mut self, call: &Function) {
        let arguments = arguments(call);
        if takes_json(call)
            && let Some(json) = arguments.first()
        {
            self.add_json(json);
        }
        let lists = arguments.iter().take(lists_among(call)).filter_map(|argument| list_of(argument));
        let lists: Vec<Vec<String>> = lists.filter(|list| !self.parameters.contains(&list[0])).collect();
        let Some(list) = lists.first() else { return };
        let lambda = arguments.iter().find_map(|argument| match argument {
            SqlExpr::Lambda(lambda) => lambda.params.first(),
            _ => None,
        });
        if let Some(element) = lambda {
            self.lists_of_parameters.insert(element.name.value.clone(), list.clone());
        }
        if call.name.to_string() == "param" {
            let parts = ["key", "value"].map(|part| (list.clone(), vec![part.to_string()]));
            self.elements.extend(parts);
        }
        self.lists.extend(lists);
    }
}

/// True for functions that look into JSON in a text.
fn takes_json(call: &Function) -> bool {
    let name = call.name.to_string().to_lowercase();
    let rest = name.strip_prefix("jsonb_").or_else(|| name.strip_prefix("json_"));
    let looks = ["get", "as_text", "contains", "length", "array_length", "object_keys", "extract_path"];
    rest.is_some_and(|rest| looks.iter().any(|look| rest.starts_with(look)))
}

fn looks_into_json(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Arrow
            | BinaryOperator::LongArrow
            | BinaryOperator::HashArrow
            | BinaryOperator::HashLongArrow
            | BinaryOperator::Question
    )
}

/// How many of the first arguments of a function are lists.
fn lists_among(call: &Function) -> usize {
    let name = call.name.to_string().to_lowercase();
    let Some(rest) = name.strip_prefix("array_").or_else(|| name.strip_prefix("list_")) else {
        return usize::from(["cardinality", "empty", "flatten", "param"].contains(&name.as_str()));
    };
    match rest {
        // an element comes first; `list_values` takes a text
        "prepend" | "push_front" | "repeat" | "values" => 0,
        "cat" | "concat" | "except" | "has_all" | "has_any" | "intersect" | "overlap" | "union" => usize::MAX,
        _ => 1,
    }
}

fn arguments(call: &Function) -> Vec<&SqlExpr> {
    let FunctionArguments::List(list) = &call.args else { return vec![] };
    let expressions = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
        _ => None,
    });
    expressions.collect()
}

/// The way to a list, or to the one of which functions of lists make another.
fn list_of(expression: &SqlExpr) -> Option<Vec<String>> {
    match expression {
        SqlExpr::Identifier(name) => Some(vec![name.value.clone()]),
        SqlExpr::CompoundIdentifier(names) => Some(names.iter().map(|name| name.value.clone()).collect()),
        SqlExpr::CompoundFieldAccess { root, access_chain } if !matches!(root.as_ref(), SqlExpr::Function(_)) => {
            let mut path = list_of(root)?;
            for access in access_chain {
                path.push(part_of(access)?);
            }
            Some(path)
        }
        SqlExpr::Function(call) if lists_among(call) > 0 => arguments(call).first().and_then(|list| list_of(list)),
        _ => None,
    }
}

/// The name of a part of a record.
fn part_of(access: &AccessExpr) -> Option<String> {
    match access {
        AccessExpr::Dot(SqlExpr::Identifier(name)) => Some(name.value.clone()),
        AccessExpr::Subscript(Subscript::Index { index: SqlExpr::Value(value) }) => match &value.value {
            SqlValue::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// True for an element by its number.
fn is_number(access: &AccessExpr) -> bool {
    matches!(access, AccessExpr::Subscript(Subscript::Index { index: SqlExpr::Value(value) })
        if matches!(value.value, SqlValue::Number(..)))
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
