//! Objects by their names: `'events'::regclass`, `'int4'::regtype`, `to_regproc('upper')`. They are numbers here, whose names are shown
//! where they become texts. A cast of a name that no object has is an error, as in PostgreSQL; `to_regclass` and its like give NULL.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Value,
};

use super::functions::{NAMESPACE_NAME, OBJECT_NUMBER, REGCLASS_NAME, REGCLASS_NUMBER, REGPROC_NAME};
use super::objects::fixed_number;
use super::relations::last;
use crate::engine::column_names::last_word;
use crate::engine::written_calls::call;

/// Types that are kinds of objects.
const KINDS: [&str; 6] = ["regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole"];

/// The number of an object that is named by a text, a parameter or what is computed; None for a cast of anything else.
pub fn number_of(name: &Expr, data_type: &DataType) -> Option<Expr> {
    let kind = last_word(data_type);
    if !KINDS.contains(&kind.as_str()) {
        return None;
    }
    if is_computed(name) {
        return Some(computed(&kind, name));
    }
    let written = match is_parameter(name) {
        true => cast(name.clone(), DataType::Text),
        false => text(text_of(name)?),
    };
    let mut arguments = vec![text(kind.clone()), written];
    if kind == "regclass" {
        // a query of the lake's tables, which the catalog's library puts for it
        arguments.push(cast(name.clone(), DataType::Regclass));
    }
    Some(call(OBJECT_NUMBER, arguments))
}

fn computed(kind: &str, name: &Expr) -> Expr {
    match kind {
        "regclass" => call(REGCLASS_NUMBER, vec![name.clone()]),
        kind => call(OBJECT_NUMBER, vec![text(kind.to_string()), name.clone()]),
    }
}

/// `to_regclass(name)` of a name that is written; what is computed is left to the function of that name.
pub fn to_regclass(list: &FunctionArgumentList) -> Option<Expr> {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(name))] = list.args.as_slice() else { return None };
    let name = match name {
        Expr::Cast { expr, .. } => expr.as_ref(),
        name => name,
    };
    match catalog_number(name) {
        Some(number) => Some(number),
        None if is_computed(name) => None,
        None => Some(cast(name.clone(), DataType::Regclass)),
    }
}

/// The name of a number that is cast to a kind of object, or is a function's.
pub fn name_of_object(inner: &Expr) -> Option<Expr> {
    match inner {
        Expr::Cast { expr: number, data_type, .. } if text_of(number).is_none() && !is_parameter(number) => {
            name_of_number(&last_word(data_type), number.as_ref().clone())
        }
        Expr::Function(function) => match last(&function.name).as_str() {
            REGCLASS_NUMBER => name_of_number("regclass", inner.clone()),
            OBJECT_NUMBER => name_of_number(&kind_of(function)?, inner.clone()),
            _ => None,
        },
        Expr::Identifier(name) => is_function(&name.value).then(|| call(REGPROC_NAME, vec![inner.clone()])),
        Expr::CompoundIdentifier(names) => {
            names.last().is_some_and(|name| is_function(&name.value)).then(|| call(REGPROC_NAME, vec![inner.clone()]))
        }
        _ => None,
    }
}

/// The name of an object of a kind by its number.
pub fn name_of_number(kind: &str, number: Expr) -> Option<Expr> {
    Some(match kind {
        "regtype" => call("format_type", vec![number, value(Value::Null)]),
        "regclass" => call(REGCLASS_NAME, vec![number]),
        "regproc" | "regprocedure" => call(REGPROC_NAME, vec![number]),
        "regnamespace" => call(NAMESPACE_NAME, vec![number]),
        "regrole" => call("pg_get_userbyid", vec![number]),
        _ => return None,
    })
}

/// The kind of object whose number a call gives.
fn kind_of(function: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(kind)) => text_of(kind),
        _ => None,
    }
}

/// The number of a table of the catalog that is named by a text, which clients know, or of any that a text of digits names.
pub fn catalog_number(expr: &Expr) -> Option<Expr> {
    let name = text_of(expr)?;
    let fixed = fixed_number(name.strip_prefix("pg_catalog.").unwrap_or(&name)).map(|number| number.to_string());
    let digits = || (!name.is_empty() && name.bytes().all(|digit| digit.is_ascii_digit())).then(|| name.clone());
    Some(value(Value::Number(fixed.or_else(digits)?, false)))
}

/// True for a text, or a number, that is computed.
fn is_computed(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_computed(inner),
        Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } | Expr::Function(_) | Expr::Case { .. } => true,
        Expr::Cast { expr, data_type, .. } => is_text(data_type) && text_of(expr).is_none() && !is_parameter(expr),
        _ => false,
    }
}

/// True for the type of texts.
pub fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_))
        || last_word(data_type) == "text"
}

fn is_parameter(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

/// Columns of the catalog that hold functions.
fn is_function(column: &str) -> bool {
    let names = [
        "typinput",
        "typoutput",
        "typreceive",
        "typsend",
        "typmodin",
        "typmodout",
        "typanalyze",
        "typsubscript",
        "amhandler",
        "tgfoid",
        "rngcanonical",
        "rngsubdiff",
        "aggfnoid",
        "oprcode",
    ];
    names.contains(&column.to_lowercase().as_str())
}

/// A text that is written.
pub fn text_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text(text: String) -> Expr {
    value(Value::SingleQuotedString(text))
}

fn value(value: Value) -> Expr {
    Expr::Value(value.with_empty_span())
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}
