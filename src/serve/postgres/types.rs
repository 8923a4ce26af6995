//! Arrow's types and Postgres'.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion_pg_catalog::pg_catalog::oid_field::OID_ALIAS_KEY;
use pgwire::api::Type;

/// The Postgres type of values of an Arrow type. What Postgres does not know is text.
pub fn pg_type(data_type: &DataType) -> Type {
    match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Type::INT2,
        DataType::UInt16 | DataType::Int32 => Type::INT4,
        DataType::UInt32 | DataType::Int64 => Type::INT8,
        DataType::UInt64 => Type::NUMERIC,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            Type::NUMERIC
        }
        DataType::Float16 | DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Date32 | DataType::Date64 => Type::DATE,
        DataType::Time32(_) | DataType::Time64(_) => Type::TIME,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => Type::INTERVAL,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Type::BYTEA,
        DataType::Dictionary(_, values) => pg_type(values),
        DataType::RunEndEncoded(_, values) => pg_type(values.data_type()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            array_type(&pg_type(item.data_type())).unwrap_or(Type::TEXT_ARRAY)
        }
        _ => Type::TEXT,
    }
}

/// The Postgres type of a column: numbers of a catalog's objects are `oid`, and its lists are what [`list_field`] made them.
pub fn pg_type_of(field: &Field) -> Type {
    match (object_kind(field), field.data_type()) {
        (Some("regproc"), _) => Type::REGPROC,
        (Some(_), DataType::Int32) => Type::OID,
        (Some(kind), DataType::List(_)) => match LISTS.iter().find(|(list, _)| list.name() == kind) {
            Some((list, _)) => list.clone(),
            None => pg_type(field.data_type()),
        },
        _ => pg_type(field.data_type()),
    }
}

/// Lists of a catalog that Arrow does not tell from others, with the type of their items.
const LISTS: &[(Type, Type)] = &[
    (Type::OID_VECTOR, Type::OID),
    (Type::INT2_VECTOR, Type::INT2),
    (Type::OID_ARRAY, Type::OID),
    (Type::CHAR_ARRAY, Type::CHAR),
];

/// A column of a catalog that holds lists of this type.
pub fn list_field(name: &str, list: &Type) -> Field {
    let item = match *list {
        Type::OID_VECTOR | Type::OID_ARRAY => DataType::Int32,
        Type::INT2_VECTOR | Type::INT2_ARRAY => DataType::Int16,
        _ => DataType::Utf8,
    };
    let field = Field::new(name, DataType::List(Arc::new(Field::new_list_field(item, true))), true);
    match LISTS.iter().any(|(known, _)| known == list) {
        true => field.with_metadata([(OID_ALIAS_KEY.to_string(), list.name().to_string())].into()),
        false => field,
    }
}

/// True for the lists that are written without braces and counted from 0: `1 2`.
pub fn is_vector(list: &Type) -> bool {
    matches!(*list, Type::OID_VECTOR | Type::INT2_VECTOR)
}

/// Bytes of a value of a type, as a column's description says it; -1 where they differ.
pub fn length_of(pg: &Type) -> i16 {
    match *pg {
        Type::BOOL => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID | Type::REGPROC => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// The kind of object that a column's numbers name; None where they are plain numbers.
pub fn object_kind(field: &Field) -> Option<&str> {
    field.metadata().get(OID_ALIAS_KEY).map(String::as_str)
}

/// The Arrow type of values of a Postgres type that is no array. What is not known is text.
pub fn arrow_type(pg: &Type) -> DataType {
    match *pg {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        // stands for any: the places of a numeric are those of its value
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::BYTEA => DataType::Binary,
        _ => DataType::Utf8,
    }
}

/// The Arrow type of values of a Postgres type, arrays of ours among them.
pub fn arrow_type_or_list(pg: &Type) -> DataType {
    match item_type(pg) {
        Some(item) => DataType::List(Arc::new(Field::new_list_field(arrow_type(item), true))),
        None => arrow_type(pg),
    }
}

/// The type of a list's items, of a catalog's or any other; None where it is no list of ours.
pub fn listed_type(list: &Type) -> Option<&'static Type> {
    LISTS.iter().find(|(known, _)| known == list).map(|(_, item)| item).or_else(|| item_type(list))
}

/// The type of an array's items; None where it is no array of ours.
pub fn item_type(pg: &Type) -> Option<&'static Type> {
    ARRAYS.iter().find(|(_, array)| array == pg).map(|(item, _)| item)
}

/// The type of arrays of a type; None where it is none of ours.
pub fn array_type(item: &Type) -> Option<Type> {
    ARRAYS.iter().find(|(known, _)| known == item).map(|(_, array)| array.clone())
}

/// Types and their arrays.
const ARRAYS: &[(Type, Type)] = &[
    (Type::TEXT, Type::TEXT_ARRAY),
    (Type::BOOL, Type::BOOL_ARRAY),
    (Type::INT2, Type::INT2_ARRAY),
    (Type::INT4, Type::INT4_ARRAY),
    (Type::INT8, Type::INT8_ARRAY),
    (Type::FLOAT4, Type::FLOAT4_ARRAY),
    (Type::FLOAT8, Type::FLOAT8_ARRAY),
    (Type::NUMERIC, Type::NUMERIC_ARRAY),
    (Type::DATE, Type::DATE_ARRAY),
    (Type::TIME, Type::TIME_ARRAY),
    (Type::TIMESTAMP, Type::TIMESTAMP_ARRAY),
    (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
    (Type::INTERVAL, Type::INTERVAL_ARRAY),
    (Type::BYTEA, Type::BYTEA_ARRAY),
    (Type::VARCHAR, Type::VARCHAR_ARRAY),
    (Type::BPCHAR, Type::BPCHAR_ARRAY),
    (Type::NAME, Type::NAME_ARRAY),
    (Type::CHAR, Type::CHAR_ARRAY),
    (Type::OID, Type::OID_ARRAY),
    (Type::UUID, Type::UUID_ARRAY),
    (Type::JSON, Type::JSON_ARRAY),
    (Type::JSONB, Type::JSONB_ARRAY),
];
