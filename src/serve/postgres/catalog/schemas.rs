//! The schemas `pg_catalog` and `information_schema` of one session: what is fixed, and what is made of the lake as it is now.

use std::sync::Arc;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::Result;
use pgwire::api::Type;

use super::fixed::Fixed;
use super::grid::{self, Cell, row};
use super::layouts::{self, INFORMATION_SCHEMA, PG_CATALOG};
use super::objects::{DATABASE, OWNER, Relation, RelationNames, SCHEMAS, names_by_number, relations};
use crate::clock;
use crate::engine::catalog::LakeSchema;
use crate::engine::column_names::SQL_NAMES;
use crate::engine::session::CATALOG;
use crate::serve::postgres::cursors::{Cursors, Declared, OpenCursor};
use crate::serve::postgres::settings::SharedSettings;
use crate::serve::postgres::types::{is_vector, length_of, pg_type_of};
use crate::time::{is_summer_time, offset};

/// What both schemas are made of.
pub struct Sources {
    /// The lake's tables as the session sees them.
    pub lake: Arc<LakeSchema>,
    /// What is the same everywhere.
    pub fixed: &'static Fixed,
    /// The connection's settings.
    pub settings: SharedSettings,
    /// What the connection has named.
    pub cursors: Arc<Cursors>,
    /// The guest's name.
    pub guest: String,
    /// The number that a cancel names.
    pub process: i32,
    /// Names of relations, for functions.
    pub names: RelationNames,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("guest", &self.guest).finish_non_exhaustive()
    }
}

/// Tables that name relations, by number or by name: who reads them may want the other one.
const NUMBERING: &[&str] = &[
    "columns",
    "tables",
    "views",
    "pg_tables",
    "pg_views",
    "pg_stat_user_tables",
    "pg_class",
    "pg_attribute",
    "pg_index",
    "pg_constraint",
    "pg_depend",
    "pg_description",
    "pg_trigger",
    "pg_rewrite",
];

/// `pg_catalog`.
#[derive(Debug)]
pub struct PgCatalog(pub Arc<Sources>);

/// `information_schema`.
#[derive(Debug)]
pub struct InformationSchema(pub Arc<Sources>);

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.0.fixed.names().chain(PG_CATALOG.iter().map(|(name, _)| *name)).map(str::to_string).collect();
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.0.know_names(name).await?;
        match layouts::of_pg_catalog(name) {
            Some(layout) => grid::table(layout, self.0.rows(name).await?).map(Some),
            None => Ok(self.0.fixed.table(name)),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        layouts::of_pg_catalog(name).is_some() || self.0.fixed.table(name).is_some()
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        INFORMATION_SCHEMA.iter().map(|(name, _)| name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.0.know_names(name).await?;
        match layouts::of_information_schema(name) {
            Some(layout) => grid::table(layout, self.0.views(name).await?).map(Some),
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        layouts::of_information_schema(name).is_some()
    }
}

/// What Postgres knows of a column's type.
struct Column<'a> {
    field: &'a arrow::datatypes::Field,
    pg: Type,
}

impl<'a> Column<'a> {
    fn new(field: &'a arrow::datatypes::Field) -> Self {
        let pg = pg_type_of(field);
        Self { field, pg }
    }

    /// Bytes of a value, -1 where they differ.
    fn length(&self) -> i32 {
        length_of(&self.pg).into()
    }

    fn is_list(&self) -> bool {
        self.pg.name().starts_with('_') || is_vector(&self.pg)
    }

    /// What SQL calls the type.
    fn sql_name(&self) -> &str {
        if self.is_list() {
            return "ARRAY";
        }
        let name = self.pg.name();
        SQL_NAMES.iter().find(|(_, short)| *short == name).map_or(name, |(sql, _)| sql)
    }

    /// Bits or digits of a number, their radix, and the scale.
    fn digits(&self) -> (Option<i32>, Option<i32>, Option<i32>) {
        match self.pg {
            Type::INT2 => (Some(16), Some(2), Some(0)),
            Type::INT4 => (Some(32), Some(2), Some(0)),
            Type::INT8 => (Some(64), Some(2), Some(0)),
            Type::FLOAT4 => (Some(24), Some(2), None),
            Type::FLOAT8 => (Some(53), Some(2), None),
            Type::NUMERIC => match self.field.data_type() {
                DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                    (Some((*precision).into()), Some(10), Some((*scale).into()))
                }
                _ => (None, Some(10), None),
            },
            _ => (None, None, None),
        }
    }
}

impl Sources {
    async fn relations(&self) -> Result<Vec<Relation>> {
        relations(&self.lake, self.fixed).await
    }

    /// Notes what relations are called, for functions of a statement that reads this table.
    async fn know_names(&self, table: &str) -> Result<()> {
        if NUMBERING.contains(&table) {
            let names = names_by_number(&self.lake, self.fixed).await?;
            *self.names.lock().unwrap_or_else(|e| e.into_inner()) = names;
        }
        Ok(())
    }

    /// Rows of a table of `pg_catalog` that is made of the lake.
    async fn rows(&self, name: &str) -> Result<Vec<Vec<Cell>>> {
        Ok(match name {
            "pg_class" => self.relations().await?.iter().map(class).collect(),
            "pg_attribute" => self.relations().await?.iter().flat_map(attributes).collect(),
            "pg_tables" => {
                let tables = self.relations().await?.into_iter().filter(|relation| relation.kind == "r");
                tables.map(|r| row![r.schema.0, r.name, &self.guest, Cell::Null, false, false, false, false]).collect()
            }
            "pg_views" => {
                let views = self.relations().await?.into_iter().filter(|relation| relation.kind == "v");
                views.map(|r| row![r.schema.0, r.name, &self.guest, Cell::Null]).collect()
            }
            "pg_namespace" => SCHEMAS.iter().map(|(name, oid)| row![*oid, *name, OWNER]).collect(),
            "pg_database" => vec![row![DATABASE, CATALOG, OWNER, 6, "c", false, true, -1, 0, 0, 1663, "C", "C"]],
            "pg_roles" => vec![row![
                &self.guest,
                false,
                true,
                false,
                false,
                true,
                false,
                -1,
                "********",
                Cell::Null,
                false,
                Cell::Null,
                OWNER
            ]],
            "pg_authid" => vec![row![OWNER, &self.guest, false, true, false, false, true, false, false, -1]],
            "pg_user" | "pg_shadow" => vec![row![&self.guest, OWNER, false, false, false, false, "********"]],
            "pg_settings" => {
                let all = self.settings.lock().unwrap_or_else(|e| e.into_inner()).all();
                let row = |(name, value, first): (String, String, String)| {
                    let source = if value == first { "default" } else { "session" };
                    row![
                        name,
                        value,
                        Cell::Null,
                        "Client Connection Defaults",
                        "",
                        Cell::Null,
                        "user",
                        "string",
                        source,
                        Cell::Null,
                        Cell::Null,
                        Cell::Null,
                        &first,
                        &first,
                        Cell::Null,
                        Cell::Null,
                        false
                    ]
                };
                all.into_iter().map(row).collect()
            }
            "pg_timezone_names" => {
                let now = clock::now().timestamp_micros();
                let row = |zone: &chrono_tz::Tz| {
                    let (seconds, short) = offset(now, *zone)?;
                    let (sign, all) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
                    let ahead = format!("{sign}{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
                    Some(row![zone.name(), short, ahead, is_summer_time(now, *zone)])
                };
                chrono_tz::TZ_VARIANTS.iter().filter_map(row).collect()
            }
            "pg_cursors" => {
                let row = |open: OpenCursor| {
                    let Declared { hold, binary } = open.declared;
                    row![open.name, open.statement, hold, binary, false, Cell::Int(open.since)]
                };
                self.cursors.open().await.into_iter().map(row).collect()
            }
            "pg_stat_activity" => {
                let application = self.settings.lock().unwrap_or_else(|e| e.into_inner());
                let application = application.get("application_name").unwrap_or_default().to_string();
                let mut own = row![
                    DATABASE,
                    CATALOG,
                    self.process,
                    Cell::Null,
                    OWNER,
                    &self.guest,
                    application,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    Cell::Null,
                    "active"
                ];
                own.extend(row![Cell::Null, Cell::Null, Cell::Null, Cell::Null, "client backend"]);
                vec![own]
            }
            _ => vec![],
        })
    }

    /// Rows of a view of `information_schema`.
    async fn views(&self, name: &str) -> Result<Vec<Vec<Cell>>> {
        Ok(match name {
            "information_schema_catalog_name" => vec![row![CATALOG]],
            "schemata" => SCHEMAS.iter().map(|(name, _)| row![CATALOG, *name, &self.guest]).collect(),
            "tables" => {
                let row = |r: Relation| {
                    let kind = if r.kind == "v" { "VIEW" } else { "BASE TABLE" };
                    let none = Cell::Null;
                    row![
                        CATALOG,
                        r.schema.0,
                        r.name,
                        kind,
                        none.clone(),
                        none.clone(),
                        none.clone(),
                        none.clone(),
                        none,
                        "NO",
                        "NO"
                    ]
                };
                self.relations().await?.into_iter().map(row).collect()
            }
            "columns" => self.relations().await?.iter().flat_map(columns).collect(),
            "views" => {
                let views = self.relations().await?.into_iter().filter(|relation| relation.kind == "v");
                views
                    .map(|r| row![CATALOG, r.schema.0, r.name, Cell::Null, "NONE", "NO", "NO", "NO", "NO", "NO"])
                    .collect()
            }
            "character_sets" => {
                vec![row![Cell::Null, Cell::Null, "UTF8", "UCS", "UTF8", CATALOG, "pg_catalog", "C"]]
            }
            "collations" => vec![row![CATALOG, "pg_catalog", "C", "NO PAD"]],
            "enabled_roles" => vec![row![&self.guest]],
            "table_privileges" | "role_table_grants" => {
                let row =
                    |r: Relation| row![&self.guest, &self.guest, CATALOG, r.schema.0, r.name, "SELECT", "NO", "YES"];
                self.relations().await?.into_iter().map(row).collect()
            }
            _ => vec![],
        })
    }
}

/// A row of `pg_class`.
fn class(relation: &Relation) -> Vec<Cell> {
    let heap = if relation.kind == "r" { 2 } else { 0 };
    let mut row = row![
        relation.oid,
        &relation.name,
        relation.schema.1,
        0,
        0,
        OWNER,
        heap,
        relation.oid,
        0,
        0,
        -1,
        0,
        0,
        false,
        false,
        "p",
        relation.kind,
        relation.columns.fields().len(),
        0,
        false,
        false,
        false,
        false,
        false,
        true,
        "n",
        false,
        0,
        0,
        0
    ];
    row.extend([Cell::Null, Cell::Null, Cell::Null]);
    row
}

/// The rows of `pg_attribute` of a relation.
fn attributes(relation: &Relation) -> Vec<Vec<Cell>> {
    let attribute = |(i, field): (usize, &Arc<arrow::datatypes::Field>)| {
        let column = Column::new(field);
        let (length, list) = (column.length(), column.is_list());
        let align = match length {
            1 => "c",
            2 => "s",
            8 | 16 => "d",
            _ => "i",
        };
        let text = matches!(column.pg, Type::TEXT | Type::TEXT_ARRAY);
        row![
            relation.oid,
            field.name(),
            column.pg.oid() as i32,
            length,
            i + 1,
            -1,
            -1,
            i32::from(list),
            (1..=8).contains(&length),
            align,
            if length < 0 { "x" } else { "p" },
            "",
            false,
            false,
            false,
            "",
            "",
            false,
            true,
            0,
            -1,
            if text { 100 } else { 0 }
        ]
    };
    relation.columns.fields().iter().enumerate().map(attribute).collect()
}

/// The rows of `information_schema.columns` of a relation.
fn columns(relation: &Relation) -> Vec<Vec<Cell>> {
    let column = |(i, field): (usize, &Arc<arrow::datatypes::Field>)| {
        let column = Column::new(field);
        let (precision, radix, scale) = column.digits();
        let time = match column.pg {
            Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME | Type::INTERVAL => Some(6),
            Type::DATE => Some(0),
            _ => None,
        };
        let octets = (column.pg == Type::TEXT).then_some(1 << 30);
        let none = || Cell::Null;
        let mut row = row![
            CATALOG,
            relation.schema.0,
            &relation.name,
            field.name(),
            i + 1,
            none(),
            // a table of the lake promises no values
            "YES",
            column.sql_name(),
            none(),
            octets,
            precision,
            radix,
            scale,
            time
        ];
        row.extend((0..11).map(|_| Cell::Null));
        row.extend(row![CATALOG, "pg_catalog", column.pg.name(), none(), none(), none(), none(), (i + 1).to_string()]);
        row.extend(row!["NO", "NO", none(), none(), none(), none(), none(), "NO", "NEVER", none(), "NO"]);
        row
    };
    relation.columns.fields().iter().enumerate().map(column).collect()
}
