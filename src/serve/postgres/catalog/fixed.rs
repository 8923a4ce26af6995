//! What is the same in every Postgres: types, functions, operators. Built once in a process, for all connections.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int32Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::catalog::{CatalogProviderList, MemTable, MemoryCatalogProviderList, TableProvider};
use datafusion::error::Result;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{
    ArrowTable, PG_CATALOG_TABLES, PgCatalogSchemaProvider, PgCatalogStaticTables, PgCatalogTable,
};
use pgwire::api::Type;

use crate::engine::column_names::SQL_NAMES;
use crate::serve::postgres::types::{list_field, object_kind};

/// The tables, and what functions look up in them.
pub struct Fixed {
    tables: HashMap<&'static str, Arc<dyn TableProvider>>,
    /// What `pg_get_keywords()` gives.
    pub keywords: Arc<ArrowTable>,
    functions: HashMap<i32, String>,
    functions_by_name: HashMap<String, i32>,
    types: HashMap<i32, String>,
    types_by_name: HashMap<String, i32>,
}

static FIXED: LazyLock<std::result::Result<Fixed, String>> =
    LazyLock::new(|| Fixed::build().map_err(|error| format!("pg_catalog: {error}")));

/// All of it.
pub fn fixed() -> crate::Result<&'static Fixed> {
    FIXED.as_ref().map_err(|error| crate::Error::bug(error.clone()))
}

/// A function's name; None for one that Postgres does not have.
pub fn function_name(oid: i32) -> Option<&'static str> {
    fixed().ok()?.function(oid)
}

/// Lists that come as text, by table and column, with what they are.
const LISTS: &[(&str, &str, Type)] = &[
    ("pg_proc", "proargtypes", Type::OID_VECTOR),
    ("pg_proc", "proallargtypes", Type::OID_ARRAY),
    ("pg_proc", "proargmodes", Type::CHAR_ARRAY),
    ("pg_proc", "proargnames", Type::TEXT_ARRAY),
    ("pg_proc", "protrftypes", Type::OID_ARRAY),
    ("pg_proc", "proconfig", Type::TEXT_ARRAY),
    ("pg_proc", "proacl", Type::TEXT_ARRAY),
    ("pg_default_acl", "defaclacl", Type::TEXT_ARRAY),
    ("pg_event_trigger", "evttags", Type::TEXT_ARRAY),
    ("pg_foreign_data_wrapper", "fdwacl", Type::TEXT_ARRAY),
    ("pg_foreign_data_wrapper", "fdwoptions", Type::TEXT_ARRAY),
    ("pg_foreign_server", "srvacl", Type::TEXT_ARRAY),
    ("pg_foreign_server", "srvoptions", Type::TEXT_ARRAY),
    ("pg_foreign_table", "ftoptions", Type::TEXT_ARRAY),
    ("pg_init_privs", "initprivs", Type::TEXT_ARRAY),
    ("pg_language", "lanacl", Type::TEXT_ARRAY),
    ("pg_largeobject_metadata", "lomacl", Type::TEXT_ARRAY),
    ("pg_partitioned_table", "partattrs", Type::INT2_VECTOR),
    ("pg_partitioned_table", "partclass", Type::OID_VECTOR),
    ("pg_partitioned_table", "partcollation", Type::OID_VECTOR),
    ("pg_publication_rel", "prattrs", Type::INT2_VECTOR),
    ("pg_statistic_ext", "stxkeys", Type::INT2_VECTOR),
    ("pg_statistic_ext", "stxkind", Type::CHAR_ARRAY),
    ("pg_subscription", "subpublications", Type::TEXT_ARRAY),
    ("pg_tablespace", "spcacl", Type::TEXT_ARRAY),
    ("pg_tablespace", "spcoptions", Type::TEXT_ARRAY),
    ("pg_type", "typacl", Type::TEXT_ARRAY),
    ("pg_user_mapping", "umoptions", Type::TEXT_ARRAY),
];

/// Columns that have another name in PostgreSQL 16.
const RENAMED: &[(&str, &str, &str)] = &[("pg_collation", "colllocale", "colliculocale")];

impl Fixed {
    fn build() -> Result<Self> {
        let all = Arc::new(PgCatalogStaticTables::try_new()?);
        let nothing: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
        let provider = PgCatalogSchemaProvider::try_new(nothing, all.clone(), EmptyContextProvider)?;
        let (functions, by_name) = names(&all.pg_proc, "proname");
        let (types, types_by_name) = names(&all.pg_type, "typname");
        let mut tables: HashMap<&'static str, Arc<dyn TableProvider>> = HashMap::new();
        for name in PG_CATALOG_TABLES {
            match provider.build_table_by_name(name)? {
                Some(PgCatalogTable::Static(table)) => {
                    let batches: Vec<_> =
                        table.data().iter().map(|batch| typed(name, batch, &by_name)).collect::<Result<_>>()?;
                    let schema = match batches.first() {
                        Some(batch) => batch.schema(),
                        None => typed(name, &RecordBatch::new_empty(table.schema()), &by_name)?.schema(),
                    };
                    tables.insert(name, Arc::new(MemTable::try_new(schema, vec![batches])?));
                }
                Some(empty @ PgCatalogTable::Empty(_)) => {
                    tables.insert(name, empty.try_into_table_provider()?);
                }
                _ => {}
            }
        }
        let keywords = all.pg_get_keywords.clone();
        Ok(Self { tables, keywords, functions, functions_by_name: by_name, types, types_by_name })
    }

    /// A table, if it is one of these.
    pub fn table(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.tables.get(name).cloned()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tables.keys().copied()
    }

    /// A function's name.
    pub fn function(&self, oid: i32) -> Option<&str> {
        self.functions.get(&oid).map(String::as_str)
    }

    /// A function's number by its name, of several the first; its arguments may stand behind it.
    pub fn function_of(&self, name: &str) -> Option<i32> {
        let name = name.split('(').next().unwrap_or_default().trim().to_lowercase();
        self.functions_by_name.get(name.strip_prefix("pg_catalog.").unwrap_or(&name)).copied()
    }

    /// A type's name in `pg_type`.
    pub fn type_name(&self, oid: i32) -> Option<&str> {
        self.types.get(&oid).map(String::as_str)
    }

    /// A type's number, by its name in `pg_type` or in SQL, with `[]` for its arrays.
    pub fn type_of(&self, name: &str) -> Option<i32> {
        let name = name.trim().to_lowercase();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        // of any number of dimensions it is the same type
        if let Some((item, more)) = name.split_once("[]")
            && more.split("[]").all(|between| between.trim().is_empty())
        {
            let item = self.type_name(self.type_of(item)?)?;
            return self.types_by_name.get(&format!("_{item}")).copied();
        }
        let name = name.split('(').next().unwrap_or_default().trim();
        let found = SQL_NAMES.iter().find(|(sql, _)| *sql == name).map_or(name, |(_, short)| short);
        self.types_by_name.get(found.trim_matches('"')).copied()
    }
}

/// Names by number and numbers by name.
fn names(table: &ArrowTable, column: &str) -> (HashMap<i32, String>, HashMap<String, i32>) {
    let (mut by_number, mut by_name) = (HashMap::new(), HashMap::new());
    for batch in table.data() {
        let (Some(oids), Some(names)) = (batch.column_by_name("oid"), batch.column_by_name(column)) else { continue };
        let (Some(oids), Some(names)) = (oids.as_primitive_opt::<Int32Type>(), names.as_string_opt::<i32>()) else {
            continue;
        };
        for (oid, name) in oids.iter().zip(names.iter()).filter_map(|(oid, name)| oid.zip(name)) {
            by_number.insert(oid, name.to_string());
            by_name.entry(name.to_string()).or_insert(oid);
        }
    }
    (by_number, by_name)
}

/// A batch in which functions are numbers, and lists are lists.
fn typed(table: &str, batch: &RecordBatch, functions: &HashMap<String, i32>) -> Result<RecordBatch> {
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (vec![], vec![]);
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let text = column.as_string_opt::<i32>();
        let list = LISTS.iter().find(|(of, name, _)| *of == table && name == field.name());
        let column: ArrayRef = match (text, list) {
            (Some(text), Some((_, _, pg))) => lists(text, pg)?,
            (Some(text), None) if object_kind(field) == Some("regproc") => {
                Arc::new(text.iter().map(|name| name.map(|n| *functions.get(n).unwrap_or(&0))).collect::<Int32Array>())
            }
            _ => column.clone(),
        };
        let renamed = RENAMED.iter().find(|(of, name, _)| *of == table && name == field.name());
        let field = match (renamed, list) {
            (Some((_, _, name)), _) => field.as_ref().clone().with_name(*name),
            (None, Some((_, _, pg))) => list_field(field.name(), pg),
            (None, None) => field.as_ref().clone(),
        };
        fields.push(field.with_data_type(column.data_type().clone()).with_nullable(true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// `{1,2}`, `1 2` and `[1, 'x']`, all of which the library's tables have, as lists of a type.
fn lists(texts: &StringArray, pg: &Type) -> Result<ArrayRef> {
    let items = |text: &str| {
        let text = text.trim_start_matches(['{', '[']).trim_end_matches(['}', ']']);
        let items = text.split([',', ' ']).filter(|item| !item.is_empty());
        items.map(|item| item.trim_matches(['"', '\'']).to_string()).collect::<Vec<String>>()
    };
    let as_said = list_field("", pg).data_type().clone();
    if as_said != list_of(DataType::Utf8) {
        let mut builder = ListBuilder::new(Int32Builder::new());
        for text in texts {
            builder.append_option(text.map(|text| items(text).into_iter().map(|i| i.parse::<i32>().ok())));
        }
        return Ok(cast(&builder.finish(), &as_said)?);
    }
    let mut builder = ListBuilder::new(StringBuilder::new());
    for text in texts {
        builder.append_option(text.map(|text| items(text).into_iter().map(Some)));
    }
    Ok(Arc::new(builder.finish()))
}

/// The type of a list's items, to build one.
pub fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn types_by_their_names() {
        let fixed = fixed().unwrap();
        for (name, number) in [
            ("int4", Some(23)),
            ("INTEGER", Some(23)),
            ("int4[]", Some(1007)),
            ("pg_catalog.int4[] []", Some(1007)),
            ("int4[]x", None),
            ("[]", None),
        ] {
            assert_eq!(fixed.type_of(name), number, "{name}");
        }
        // however many there are, they take no stack
        assert_eq!(fixed.type_of(&format!("int4{}", "[]".repeat(1 << 20))), Some(1007));
    }
}
