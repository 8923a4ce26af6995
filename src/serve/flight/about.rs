//! What drivers ask of the server itself: what it can do, its types, and keys of tables, of which it has none.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    Nullable, Searchable, SqlInfo, SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
};

/// What it can do.
pub static ABOUT: LazyLock<Result<SqlInfoData, String>> = LazyLock::new(|| {
    let mut about = SqlInfoDataBuilder::new();
    about.append(SqlInfo::FlightSqlServerName, "Rejoin");
    about.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    about.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    about.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    about.append(SqlInfo::SqlSearchStringEscape, "\\");
    about.append(SqlInfo::SqlCatalogTerm, "database");
    about.append(SqlInfo::SqlSchemaTerm, "schema");
    for can in [SqlInfo::FlightSqlServerReadOnly, SqlInfo::FlightSqlServerSql, SqlInfo::SqlAllTablesAreSelectable] {
        about.append(can, true);
    }
    for cannot in [
        SqlInfo::FlightSqlServerSubstrait,
        SqlInfo::FlightSqlServerCancel,
        SqlInfo::FlightSqlServerBulkIngestion,
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
    ] {
        about.append(cannot, false);
    }
    about.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    about.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
    about.build().map_err(|error| error.to_string())
});

/// Types of columns: the name in SQL, the number of ODBC and JDBC, the largest size, and the quotes of its literals.
const TYPES: [(&str, XdbcDataType, i32, &str); 11] = [
    ("BOOLEAN", XdbcDataType::XdbcBit, 1, ""),
    ("INTEGER", XdbcDataType::XdbcInteger, 10, ""),
    ("BIGINT", XdbcDataType::XdbcBigint, 19, ""),
    ("REAL", XdbcDataType::XdbcReal, 24, ""),
    ("DOUBLE", XdbcDataType::XdbcDouble, 53, ""),
    ("DECIMAL", XdbcDataType::XdbcDecimal, 38, ""),
    ("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX, "'"),
    ("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX, ""),
    ("DATE", XdbcDataType::XdbcDate, 10, "'"),
    ("TIME", XdbcDataType::XdbcTime, 15, "'"),
    ("TIMESTAMP", XdbcDataType::XdbcTimestamp, 32, "'"),
];

/// The types of columns, for tools that write statements.
pub static KINDS: LazyLock<Result<XdbcTypeInfoData, String>> = LazyLock::new(|| {
    let mut kinds = XdbcTypeInfoDataBuilder::new();
    for (name, number, size, quote) in TYPES {
        let quote = Some(quote.to_string()).filter(|quote| !quote.is_empty());
        kinds.append(XdbcTypeInfo {
            type_name: name.to_string(),
            data_type: number,
            column_size: Some(size),
            literal_prefix: quote.clone(),
            literal_suffix: quote,
            nullable: Nullable::NullabilityNullable,
            case_sensitive: number == XdbcDataType::XdbcVarchar,
            searchable: Searchable::Full,
            local_type_name: Some(name.to_string()),
            sql_data_type: number,
            ..XdbcTypeInfo::default()
        });
    }
    kinds.build().map_err(|error| error.to_string())
});

fn needed(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// No primary keys, as `FlightSql.proto` has them.
pub fn no_primary_keys() -> RecordBatch {
    RecordBatch::new_empty(Arc::new(Schema::new(vec![
        optional("catalog_name"),
        optional("db_schema_name"),
        needed("table_name", DataType::Utf8),
        needed("column_name", DataType::Utf8),
        optional("key_name"),
        needed("key_sequence", DataType::Int32),
    ])))
}

/// No foreign keys, exported, imported or between two tables, as `FlightSql.proto` has them.
pub fn no_foreign_keys() -> RecordBatch {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        optional("pk_catalog_name"),
        optional("pk_db_schema_name"),
        needed("pk_table_name", DataType::Utf8),
        needed("pk_column_name", DataType::Utf8),
        optional("fk_catalog_name"),
        optional("fk_db_schema_name"),
        needed("fk_table_name", DataType::Utf8),
        needed("fk_column_name", DataType::Utf8),
        needed("key_sequence", DataType::Int32),
        optional("fk_key_name"),
        optional("pk_key_name"),
        needed("update_rule", DataType::UInt8),
        needed("delete_rule", DataType::UInt8),
    ]));
    RecordBatch::new_empty(schema)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::AsArray;
    use arrow_flight::sql::{CommandGetSqlInfo, CommandGetXdbcTypeInfo};

    use super::*;

    #[test]
    fn drivers_are_told() {
        let about = ABOUT.as_ref().unwrap();
        let all = CommandGetSqlInfo { info: vec![] }.into_builder(about).build().unwrap();
        assert!(all.num_rows() > 10, "{all:?}");
        let kinds = KINDS.as_ref().unwrap();
        let one = |data_type| CommandGetXdbcTypeInfo { data_type }.into_builder(kinds).build().unwrap();
        assert_eq!(one(None).num_rows(), TYPES.len());
        let text = one(Some(XdbcDataType::XdbcVarchar as i32));
        assert_eq!(text.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["VARCHAR"]);
        assert_eq!(one(Some(12_345)).num_rows(), 0);
    }
}
