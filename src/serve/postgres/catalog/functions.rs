//! Functions that Postgres has of itself: who asks, what is set, what objects are called.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog as shared;

use super::fixed::Fixed;
use super::objects::{OWNER, RelationNames, SCHEMAS};
use super::schemas::Sources;
use crate::Error;
use crate::columns::timestamp;
use crate::engine::column_names::SQL_NAMES;
use crate::engine::session::{CATALOG, SCHEMA};
use crate::error::StatementFault;
use crate::functions::spans;
use crate::serve::failure::Failure;
use crate::serve::postgres::actions::is_of_engine;
use crate::serve::postgres::settings::{UNKNOWN_SETTING, setting_of_engine};
use crate::serve::postgres::types::pg_type;
use crate::time::{Zone, from_local, to_local};

type Body = Arc<dyn Fn(&ScalarFunctionArgs, &[ArrayRef]) -> Result<ArrayRef> + Send + Sync>;
type Returns = Arc<dyn Fn(&[DataType]) -> Result<DataType> + Send + Sync>;

/// A function of any arguments, whose body gives an array of as many values as there are rows.
pub(super) struct Function {
    name: &'static str,
    signature: Signature,
    returns: Returns,
    body: Body,
}

impl Function {
    /// One that gives values of a type.
    pub(super) fn udf(
        name: &'static str,
        volatility: Volatility,
        returns: DataType,
        body: impl Fn(&ScalarFunctionArgs, &[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let signature = Signature::variadic_any(volatility);
        let signature = Signature::one_of(
            vec![datafusion::logical_expr::TypeSignature::Nullary, signature.type_signature],
            volatility,
        );
        let returns: Returns = Arc::new(move |_| Ok(returns.clone()));
        ScalarUDF::from(Self { name, signature, returns, body: Arc::new(body) })
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.returns)(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<arrow::datatypes::FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(arrow::datatypes::Field::new(self.name, self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let count = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|value| value.to_array(count)).collect::<Result<Vec<_>>>()?;
        let result = (self.body)(&ScalarFunctionArgs { number_rows: count, ..args }, &arrays)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

/// Functions that give always the same here, whatever they are asked: nothing is hidden, locked, indexed or commented.
fn constants() -> Vec<(&'static str, ScalarValue)> {
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_string()));
    let (nothing, zero) = (ScalarValue::Utf8(None), ScalarValue::Int64(Some(0)));
    let (yes, no) = (ScalarValue::Boolean(Some(true)), ScalarValue::Boolean(Some(false)));
    let of = |names: &[&'static str], value: &ScalarValue| {
        names.iter().map(|name| (*name, value.clone())).collect::<Vec<_>>()
    };
    [
        of(
            &[
                "col_description",
                "obj_description",
                "shobj_description",
                "pg_get_serial_sequence",
                "pg_get_indexdef",
                "pg_get_viewdef",
                "pg_get_triggerdef",
                "pg_get_ruledef",
                "pg_get_functiondef",
                "pg_get_expr",
                "pg_get_partkeydef",
                "pg_get_constraintdef",
                "pg_get_statisticsobjdef_columns",
                "pg_tablespace_location",
                "inet_client_addr",
                "inet_server_addr",
                "pg_get_function_sqlbody",
                "pg_get_function_arg_default",
                "pg_get_statisticsobjdef",
                "pg_describe_object",
                "pg_relation_filepath",
                "pg_collation_for",
                "pg_current_wal_lsn",
                "pg_last_wal_receive_lsn",
                "pg_last_wal_replay_lsn",
                "pg_get_partition_constraintdef",
            ],
            &nothing,
        ),
        of(&["pg_get_function_arguments", "pg_get_function_identity_arguments", "pg_get_function_result"], &text("")),
        of(
            &[
                "pg_function_is_visible",
                "pg_type_is_visible",
                "pg_operator_is_visible",
                "pg_opclass_is_visible",
                "pg_opfamily_is_visible",
                "pg_collation_is_visible",
                "pg_conversion_is_visible",
                "pg_ts_config_is_visible",
                "pg_ts_dict_is_visible",
                "pg_ts_parser_is_visible",
                "pg_ts_template_is_visible",
                "pg_statistics_obj_is_visible",
                "pg_try_advisory_lock",
                "pg_try_advisory_xact_lock",
                "pg_advisory_unlock",
            ],
            &yes,
        ),
        of(
            &[
                "pg_relation_is_publishable",
                "pg_is_in_recovery",
                "pg_is_other_temp_schema",
                "pg_is_wal_replay_paused",
                "pg_cancel_backend",
                "pg_terminate_backend",
                "pg_jit_available",
                "row_security_active",
                "pg_index_has_property",
                "pg_index_column_has_property",
                "pg_indexam_has_property",
            ],
            &no,
        ),
        // their answer is void
        of(
            &["pg_advisory_unlock_all", "pg_advisory_lock", "pg_advisory_xact_lock", "pg_stat_clear_snapshot"],
            &text(""),
        ),
        of(
            &[
                "pg_relation_size",
                "pg_total_relation_size",
                "pg_table_size",
                "pg_indexes_size",
                "pg_database_size",
                "pg_tablespace_size",
                "pg_stat_get_numscans",
                "pg_stat_get_live_tuples",
                "pg_stat_get_dead_tuples",
                "pg_stat_get_tuples_inserted",
                "pg_stat_get_tuples_updated",
                "pg_stat_get_tuples_deleted",
                "pg_stat_get_db_numbackends",
                "pg_stat_get_db_xact_commit",
                "pg_stat_get_db_xact_rollback",
                "pg_stat_get_db_blocks_fetched",
                "pg_stat_get_db_blocks_hit",
            ],
            &zero,
        ),
        of(
            &[
                "pg_stat_get_last_analyze_time",
                "pg_stat_get_last_autoanalyze_time",
                "pg_stat_get_last_vacuum_time",
                "pg_stat_get_last_autovacuum_time",
                "pg_stat_get_db_stat_reset_time",
                "pg_last_xact_replay_timestamp",
            ],
            &ScalarValue::TimestampMicrosecond(None, Some("UTC".into())),
        ),
        of(&["pg_blocking_pids"], &ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Int32))),
        of(&["pg_notification_queue_usage"], &ScalarValue::Float64(Some(0.0))),
        of(&["pg_encoding_max_length"], &ScalarValue::Int32(Some(4))),
        of(
            &["pg_my_temp_schema", "inet_server_port", "inet_client_port", "pg_trigger_depth", "pg_relation_filenode"],
            &ScalarValue::Int32(Some(0)),
        ),
        of(&["txid_current", "pg_current_xact_id"], &ScalarValue::Int64(Some(1))),
        of(&["pg_client_encoding", "getdatabaseencoding", "pg_encoding_to_char"], &text("UTF8")),
        of(&["pg_char_to_encoding"], &ScalarValue::Int32(Some(6))),
        of(&["current_database"], &text(CATALOG)),
        of(&["current_schema"], &text(SCHEMA)),
        of(
            &["version"],
            &text(concat!(
                "PostgreSQL 16.0 (Rejoin ",
                env!("CARGO_PKG_VERSION"),
                ") on rust, compiled by rustc, 64-bit"
            )),
        ),
    ]
    .concat()
}

/// What a guest may do with anything.
const ALLOWED: &[&str] = &["select", "usage", "connect", "execute", "member", "use"];

/// Functions that say what somebody may do.
const PRIVILEGES: &[&str] = &[
    "has_table_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_function_privilege",
    "has_sequence_privilege",
    "has_tablespace_privilege",
    "has_language_privilege",
    "has_type_privilege",
    "has_server_privilege",
    "has_foreign_data_wrapper_privilege",
    "pg_has_role",
];

/// Puts them into a session.
pub fn register(context: &SessionContext, sources: &Arc<Sources>, names: &RelationNames) {
    let add = |function: ScalarUDF| context.register_udf(function);
    for (name, value) in constants() {
        let returns = value.data_type();
        add(Function::udf(name, Volatility::Immutable, returns, move |args, _| {
            value.to_array_of_size(args.number_rows)
        }));
    }
    for name in PRIVILEGES {
        add(Function::udf(name, Volatility::Stable, DataType::Boolean, |args, arrays| {
            let Some(privileges) = arrays.last() else { return Err(wants("an object and a privilege")) };
            let privileges = texts(privileges)?;
            // one of several suffices
            let may = |text: &str| text.split(',').any(|one| ALLOWED.contains(&one.trim().to_lowercase().as_str()));
            let may: BooleanArray = privileges.iter().map(|text| text.map(may)).collect();
            debug_assert_eq!(may.len(), args.number_rows);
            Ok(Arc::new(may))
        }));
    }
    let guest = ScalarValue::Utf8(Some(sources.guest.clone()));
    for name in ["session_user", "current_user", "user", "current_role", "pg_get_userbyid"] {
        let guest = guest.clone();
        add(Function::udf(name, Volatility::Stable, DataType::Utf8, move |args, _| {
            guest.to_array_of_size(args.number_rows)
        }));
    }
    let process = ScalarValue::Int32(Some(sources.process));
    add(Function::udf("pg_backend_pid", Volatility::Stable, DataType::Int32, move |args, _| {
        process.to_array_of_size(args.number_rows)
    }));
    add(Function::udf("current_schemas", Volatility::Stable, super::fixed::list_of(DataType::Utf8), |args, arrays| {
        let implicit = arrays.first().and_then(|array| array.as_boolean_opt()).is_some_and(|array| array.value(0));
        let names = if implicit { vec!["pg_catalog", SCHEMA] } else { vec![SCHEMA] };
        let names: Vec<ScalarValue> = names.into_iter().map(ScalarValue::from).collect();
        ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8)).to_array_of_size(args.number_rows)
    }));
    settings(context, sources);
    objects(context, sources.fixed, &sources.guest, names);
    add(ScalarUDF::from(Timezone::new()));
    for function in [
        shared::quote_ident_udf::create_quote_ident_udf(),
        shared::quote_ident_udf::create_parse_ident_udf(),
        shared::array_bounds_udf::create_array_upper_udf(),
        shared::array_bounds_udf::create_array_lower_udf(),
        shared::create_pg_get_partition_ancestors_udf(),
    ] {
        add(function);
    }
}

/// `current_setting` and `set_config`.
fn settings(context: &SessionContext, sources: &Arc<Sources>) {
    let shared = sources.settings.clone();
    context.register_udf(Function::udf("current_setting", Volatility::Stable, DataType::Utf8, move |args, arrays| {
        let Some(names) = arrays.first() else { return Err(wants("the name of a setting")) };
        let names = texts(names)?;
        let missing_ok = arrays.get(1).and_then(|array| array.as_boolean_opt()).is_some_and(|array| array.value(0));
        let settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let of_engine = |name: &str| setting_of_engine(&args.config_options, name).filter(|_| is_of_engine(name));
        let value = |name: Option<&str>| -> Result<Option<String>> {
            let Some(name) = name else { return Ok(None) };
            match settings.get(name).map(str::to_string).or_else(|| of_engine(name)) {
                None if !missing_ok => settings.shown(name).map(|(_, value)| Some(value)).map_err(failed),
                found => Ok(found),
            }
        };
        Ok(Arc::new(names.iter().map(value).collect::<Result<StringArray>>()?))
    }));
    let shared = sources.settings.clone();
    context.register_udf(Function::udf("set_config", Volatility::Volatile, DataType::Utf8, move |args, arrays| {
        let [name, value, ..] = arrays else { return Err(wants("a name, a value and whether it is local")) };
        let (names, values) = (texts(name)?, texts(value)?);
        let mut settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut set = |row: usize| -> Result<Option<String>> {
            if names.is_null(row) {
                return Ok(None);
            }
            match values.is_null(row) {
                true => settings.reset(names.value(row)).map_err(failed)?,
                false => settings.set(names.value(row), values.value(row)).map_err(failed)?,
            }
            Ok(settings.get(names.value(row)).map(str::to_string))
        };
        Ok(Arc::new((0..args.number_rows).map(&mut set).collect::<Result<StringArray>>()?))
    }));
}

/// What objects and types are called.
fn objects(context: &SessionContext, fixed: &'static Fixed, guest: &str, names: &RelationNames) {
    let add = |function: ScalarUDF| context.register_udf(function);
    let named = |name, of: fn(&Fixed, i32) -> String| {
        Function::udf(name, Volatility::Stable, DataType::Utf8, move |_, arrays| {
            let Some(oids) = arrays.first() else { return Err(wants("an object's number")) };
            let oids = cast(oids, &DataType::Int32)?;
            let oids = oids.as_primitive::<Int32Type>();
            Ok(Arc::new(oids.iter().map(|oid| oid.map(|oid| of(fixed, oid))).collect::<StringArray>()))
        })
    };
    add(named("format_type", type_text));
    add(named(NAMESPACE_NAME, |_, oid| match SCHEMAS.iter().find(|(_, number)| *number == oid) {
        Some((name, _)) => name.to_string(),
        None if oid == 0 => NONE.to_string(),
        None => oid.to_string(),
    }));
    add(named(REGPROC_NAME, |fixed, oid| match oid {
        0 => NONE.to_string(),
        oid => fixed.function(oid).map_or_else(|| oid.to_string(), str::to_string),
    }));
    let shown = names.clone();
    add(Function::udf(REGCLASS_NAME, Volatility::Stable, DataType::Utf8, move |_, arrays| {
        let Some(oids) = arrays.first() else { return Err(wants("a relation's number")) };
        let oids = cast(oids, &DataType::Int32)?;
        let names = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |oid: i32| match oid {
            0 => NONE.to_string(),
            oid => names.get(&oid).cloned().unwrap_or_else(|| oid.to_string()),
        };
        Ok(Arc::new(oids.as_primitive::<Int32Type>().iter().map(|oid| oid.map(name)).collect::<StringArray>()))
    }));
    for (name, must_be) in [(REGCLASS_NUMBER, true), ("to_regclass", false)] {
        let known = names.clone();
        add(Function::udf(name, Volatility::Stable, DataType::Int32, move |_, arrays| {
            let Some(relations) = arrays.first() else { return Err(wants("a relation's name")) };
            if relations.data_type().is_numeric() {
                return Ok(cast(relations, &DataType::Int32)?);
            }
            let relations = texts(relations)?;
            let names = known.lock().unwrap_or_else(PoisonError::into_inner);
            let by_name: HashMap<String, i32> =
                names.iter().map(|(number, name)| (on_the_path(name), *number)).collect();
            let number = |name: Option<&str>| -> Result<Option<i32>> {
                let Some(name) = name else { return Ok(None) };
                match written_number(name).or_else(|| by_name.get(&on_the_path(name)).copied()) {
                    None if must_be => Err(no_object("regclass", name).into()),
                    found => Ok(found),
                }
            };
            Ok(Arc::new(relations.iter().map(number).collect::<Result<Int32Array>>()?))
        }));
    }
    let owner = guest.to_string();
    add(Function::udf(OBJECT_NUMBER, Volatility::Stable, DataType::Int32, move |args, arrays| {
        let [kinds, names, found @ ..] = arrays else { return Err(wants("a kind of object and a name")) };
        if names.data_type().is_numeric() {
            return Ok(cast(names, &DataType::Int32)?);
        }
        let (kinds, names) = (texts(kinds)?, texts(names)?);
        let found = found.first().map(|found| cast(found, &DataType::Int32)).transpose()?;
        let found = found.as_ref().map(|found| found.as_primitive::<Int32Type>());
        let number = |row: usize| -> Result<Option<i32>> {
            if names.is_null(row) {
                return Ok(None);
            }
            let (kind, name) = (kinds.value(row), names.value(row));
            let known = match found {
                Some(found) if found.is_valid(row) => Some(found.value(row)),
                _ => number_of_object(fixed, &owner, kind, name),
            };
            known.map(Some).ok_or_else(|| no_object(kind, name).into())
        };
        Ok(Arc::new((0..args.number_rows).map(number).collect::<Result<Int32Array>>()?))
    }));
    for (function, kind) in [
        ("to_regtype", "regtype"),
        ("to_regproc", "regproc"),
        ("to_regprocedure", "regprocedure"),
        ("to_regnamespace", "regnamespace"),
        ("to_regrole", "regrole"),
    ] {
        let owner = guest.to_string();
        add(Function::udf(function, Volatility::Stable, DataType::Int32, move |_, arrays| {
            let Some(names) = arrays.first() else { return Err(wants("an object's name")) };
            let names = texts(names)?;
            let number = |name: Option<&str>| number_of_object(fixed, &owner, kind, name?);
            Ok(Arc::new(names.iter().map(number).collect::<Int32Array>()))
        }));
    }
    let names = names.clone();
    add(Function::udf("pg_table_is_visible", Volatility::Stable, DataType::Boolean, move |_, arrays| {
        let Some(oids) = arrays.first() else { return Err(wants("a relation's number")) };
        let oids = cast(oids, &DataType::Int32)?;
        let names = names.lock().unwrap_or_else(PoisonError::into_inner);
        // what needs its schema before it is not on the path
        let visible = |oid: i32| names.get(&oid).is_none_or(|name| !name.contains('.'));
        Ok(Arc::new(oids.as_primitive::<Int32Type>().iter().map(|oid| oid.map(visible)).collect::<BooleanArray>()))
    }));
    add(Function::udf(LIKE_PATTERN, Volatility::Immutable, DataType::Utf8, |_, arrays| {
        let [patterns, escapes] = arrays else { return Err(wants("a pattern and a sign")) };
        let (patterns, escapes) = (texts(patterns)?, texts(escapes)?);
        let both = patterns.iter().zip(escapes.iter());
        let written = both.map(|(pattern, escape)| Some(escaped_by_backslash(pattern?, escape?)));
        Ok(Arc::new(written.collect::<StringArray>()))
    }));
    add(Function::udf("pg_typeof", Volatility::Stable, DataType::Utf8, move |args, _| {
        let Some(field) = args.arg_fields.first() else { return Err(wants("a value")) };
        let name = match field.data_type() {
            DataType::Null => "unknown".to_string(),
            data_type => type_text(fixed, pg_type(data_type).oid() as i32),
        };
        ScalarValue::Utf8(Some(name)).to_array_of_size(args.number_rows)
    }));
}

/// A function's name by its number; the rewording of `::regproc::text`.
pub const REGPROC_NAME: &str = "regproc_name";
/// A relation's name by its number; the rewording of `::regclass::text`.
pub const REGCLASS_NAME: &str = "regclass_name";
/// A relation's number by its name, where that is computed; the rewording of `::regclass`.
pub const REGCLASS_NUMBER: &str = "regclass_number";
/// The number of an object by its kind and name, and by what was found of it where the lake is to be asked; the rewording of
/// `::regtype` and its like.
pub const OBJECT_NUMBER: &str = "object_number";
/// A schema's name by its number; the rewording of `::regnamespace::text`.
pub const NAMESPACE_NAME: &str = "regnamespace_name";

/// The number of an object that is no relation.
fn number_of_object(fixed: &Fixed, guest: &str, kind: &str, name: &str) -> Option<i32> {
    let plain = name.replace('"', "");
    written_number(name).or_else(|| match kind {
        "regtype" => fixed.type_of(name),
        "regproc" | "regprocedure" => fixed.function_of(&plain),
        "regnamespace" => SCHEMAS.iter().find(|(schema, _)| *schema == plain).map(|(_, number)| *number),
        "regrole" => (plain == guest).then_some(OWNER),
        _ => None,
    })
}

/// The name of no object, whose number is 0.
const NONE: &str = "-";

/// The number that stands where a name could.
fn written_number(name: &str) -> Option<i32> {
    if name == NONE { Some(0) } else { name.parse().ok() }
}

/// What is said of a name that no object has.
fn no_object(kind: &str, name: &str) -> Error {
    let (what, fault) = match kind {
        "regclass" => ("relation", StatementFault::Table),
        "regtype" => ("type", StatementFault::Object),
        "regproc" | "regprocedure" => ("function", StatementFault::Function),
        "regnamespace" => ("schema", StatementFault::Schema),
        _ => ("role", StatementFault::Object),
    };
    let shown: String = name.chars().take(63).collect();
    Error::query(format!("{what} {shown:?} does not exist")).of_fault(fault)
}

/// A relation's name without quotes, and without the schemas that are looked through.
fn on_the_path(name: &str) -> String {
    let plain = name.replace('"', "");
    let within = [CATALOG, SCHEMA, "pg_catalog"].iter().fold(plain.as_str(), |name, before| {
        name.strip_prefix(before).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
    });
    within.to_string()
}

/// A pattern of LIKE whose escape is another sign; the rewording of `LIKE x ESCAPE '!'`.
pub const LIKE_PATTERN: &str = "like_pattern";

/// A pattern in which the backslash takes the sign after it as it is, in place of another sign that did.
pub fn escaped_by_backslash(pattern: &str, escape: &str) -> String {
    let mut out = String::new();
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        if escape.chars().eq([sign]) {
            out.push('\\');
            out.extend(signs.next());
        } else {
            out.extend((sign == '\\').then_some('\\'));
            out.push(sign);
        }
    }
    out
}

/// What SQL calls a type of `pg_type`.
pub fn type_text(fixed: &Fixed, oid: i32) -> String {
    match fixed.type_name(oid) {
        None if oid == 0 => NONE.to_string(),
        None => "???".to_string(),
        Some(name) => match name.strip_prefix('_') {
            Some(item) => format!("{}[]", sql_name(item)),
            None => sql_name(name).to_string(),
        },
    }
}

fn sql_name(short: &str) -> &str {
    // the first of several is what Postgres writes
    SQL_NAMES.iter().find(|(_, name)| *name == short).map_or(short, |(sql, _)| sql)
}

/// Values as texts.
pub(super) fn texts(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The error when it is called otherwise.
pub(super) fn wants(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("this function takes {what}"))
}

fn failed(failure: Failure) -> DataFusionError {
    match failure.sqlstate() {
        UNKNOWN_SETTING => Error::query(failure.message).of_fault(StatementFault::Setting).into(),
        _ => DataFusionError::Execution(failure.message),
    }
}

/// `timezone(zone, time)`, which is `time AT TIME ZONE zone`: what a clock there shows at an instant, or the instant at
/// which it shows a time.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Timezone {
    signature: Signature,
}

impl Timezone {
    fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match arguments.get(1) {
            Some(DataType::Timestamp(_, Some(_))) => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => timestamp(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [zones, times] = arrays.as_slice() else { return Err(wants("a zone and a time")) };
        let zoned = match times.data_type() {
            DataType::Timestamp(_, zone) => zone.is_some(),
            DataType::Date32 | DataType::Date64 | DataType::Utf8 | DataType::Null => false,
            other => return Err(DataFusionError::Execution(format!("AT TIME ZONE takes a time, not {other}"))),
        };
        let micros = match zoned {
            true => cast(times, &timestamp())?,
            false => cast(times, &DataType::Timestamp(TimeUnit::Microsecond, None))?,
        };
        let (zones, micros) = (zones_of(zones)?, micros.as_primitive::<TimestampMicrosecondType>().clone());
        let shift = |(row, zone): (usize, Option<Zone>)| {
            let micros = micros.is_valid(row).then(|| micros.value(row));
            let (micros, zone) = (micros?, zone?);
            if zoned { to_local(micros, zone) } else { from_local(micros, zone) }
        };
        let shifted: TimestampMicrosecondArray = zones.into_iter().enumerate().map(shift).collect();
        Ok(ColumnarValue::Array(match zoned {
            true => Arc::new(shifted),
            false => Arc::new(shifted.with_timezone("UTC")),
        }))
    }
}

/// The zones that texts name, or intervals, which are so much ahead of UTC.
fn zones_of(values: &ArrayRef) -> Result<Vec<Option<Zone>>> {
    if let DataType::Interval(_) = values.data_type() {
        let intervals = spans(values)?;
        let zone = |span: IntervalMonthDayNano| -> Result<Zone> {
            let seconds = i32::try_from(span.nanoseconds / 1_000_000_000).ok();
            let of_clock = span.months == 0 && span.days == 0;
            seconds.filter(|_| of_clock).and_then(Zone::ahead).ok_or_else(|| {
                let message = "a zone is an interval of hours and minutes, less than a day, such as INTERVAL '+05:30'";
                Error::usage(message).into()
            })
        };
        return intervals.iter().map(|span| span.map(zone).transpose()).collect();
    }
    let names = texts(values)?;
    let mut zones = Vec::with_capacity(names.len());
    let mut last: Option<(&str, Zone)> = None;
    for name in &names {
        zones.push(match (name, last) {
            (None, _) => None,
            // most often all are the same
            (Some(name), Some((same, zone))) if name == same => Some(zone),
            (Some(name), _) => {
                let zone = Zone::of_text(name).map_err(|why| Error::query(why).of_fault(StatementFault::Argument))?;
                last = Some((name, zone));
                Some(zone)
            }
        });
    }
    Ok(zones)
}
