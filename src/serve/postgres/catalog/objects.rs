//! What there is to be listed: schemas, tables, columns, and their numbers.
//!
//! Invariant: an object's number follows from its name, so that it is the same in every connection and after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::SchemaProvider;
use datafusion::error::Result;
use xxhash_rust::xxh3::xxh3_64;

use super::fixed::Fixed;
use super::grid;
use super::layouts::{self, INFORMATION_SCHEMA, PG_CATALOG};
use crate::engine::catalog::LakeSchema;
use crate::engine::session::SCHEMA;

/// Numbers below are Postgres' own.
const FIRST: i32 = 16_385;
/// The database.
pub const DATABASE: i32 = 16_384;
/// The guest, who owns what he sees.
pub const OWNER: i32 = 10;

/// The schemas with their numbers.
pub const SCHEMAS: &[(&str, i32)] = &[("pg_catalog", 11), (SCHEMA, 2200), ("information_schema", 13_000)];

/// Tables whose numbers clients know by heart: those of Postgres itself.
const BY_HEART: &[(&str, i32)] = &[
    ("pg_default_acl", 826),
    ("pg_tablespace", 1213),
    ("pg_shdepend", 1214),
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_class", 1259),
    ("pg_authid", 1260),
    ("pg_auth_members", 1261),
    ("pg_database", 1262),
    ("pg_foreign_server", 1417),
    ("pg_user_mapping", 1418),
    ("pg_sequence", 2224),
    ("pg_foreign_data_wrapper", 2328),
    ("pg_shdescription", 2396),
    ("pg_aggregate", 2600),
    ("pg_am", 2601),
    ("pg_amop", 2602),
    ("pg_amproc", 2603),
    ("pg_attrdef", 2604),
    ("pg_cast", 2605),
    ("pg_constraint", 2606),
    ("pg_conversion", 2607),
    ("pg_depend", 2608),
    ("pg_description", 2609),
    ("pg_index", 2610),
    ("pg_inherits", 2611),
    ("pg_language", 2612),
    ("pg_largeobject", 2613),
    ("pg_namespace", 2615),
    ("pg_opclass", 2616),
    ("pg_operator", 2617),
    ("pg_rewrite", 2618),
    ("pg_statistic", 2619),
    ("pg_trigger", 2620),
    ("pg_opfamily", 2753),
    ("pg_db_role_setting", 2964),
    ("pg_largeobject_metadata", 2995),
    ("pg_extension", 3079),
    ("pg_foreign_table", 3118),
    ("pg_policy", 3256),
    ("pg_partitioned_table", 3350),
    ("pg_statistic_ext", 3381),
    ("pg_init_privs", 3394),
    ("pg_statistic_ext_data", 3429),
    ("pg_collation", 3456),
    ("pg_event_trigger", 3466),
    ("pg_enum", 3501),
    ("pg_range", 3541),
    ("pg_transform", 3576),
    ("pg_shseclabel", 3592),
    ("pg_seclabel", 3596),
    ("pg_ts_dict", 3600),
    ("pg_ts_parser", 3601),
    ("pg_ts_config", 3602),
    ("pg_ts_config_map", 3603),
    ("pg_ts_template", 3764),
    ("pg_replication_origin", 6000),
    ("pg_subscription", 6100),
    ("pg_subscription_rel", 6102),
    ("pg_publication", 6104),
    ("pg_publication_rel", 6106),
    ("pg_publication_namespace", 6237),
    ("pg_parameter_acl", 6243),
];

/// The number of a table of `pg_catalog` that is the same in every Postgres.
pub fn fixed_number(name: &str) -> Option<i32> {
    BY_HEART.iter().find(|(known, _)| *known == name).map(|(_, oid)| *oid)
}

/// Names of relations by number, as they were when a catalog was last planned.
pub type RelationNames = Arc<Mutex<BTreeMap<i32, String>>>;

/// A table or view.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its number.
    pub oid: i32,
    /// Its schema, with its number.
    pub schema: (&'static str, i32),
    /// Its name.
    pub name: String,
    /// `r` for a table, `v` for a view.
    pub kind: &'static str,
    /// Its columns.
    pub columns: SchemaRef,
}

/// Names of all relations, with their schemas: those of the lake as it is now.
async fn names(lake: &LakeSchema, fixed: &Fixed) -> Result<BTreeSet<(&'static str, String)>> {
    let mut all: BTreeSet<_> = lake.refresh_names().await?.into_iter().map(|name| (SCHEMA, name)).collect();
    let of_postgres = fixed.names().chain(PG_CATALOG.iter().map(|(name, _)| *name));
    all.extend(of_postgres.map(|name| ("pg_catalog", name.to_string())));
    all.extend(INFORMATION_SCHEMA.iter().map(|(name, _)| ("information_schema", name.to_string())));
    Ok(all)
}

/// The number of each; where two names would have the same, the later one takes the next.
fn numbers(names: &BTreeSet<(&'static str, String)>) -> BTreeMap<(&'static str, String), i32> {
    let mut taken = BTreeSet::new();
    let number = |(schema, name): &(&'static str, String)| {
        let by_heart = fixed_number(name).filter(|_| *schema == "pg_catalog");
        let oid = by_heart.unwrap_or_else(|| {
            let hash = (xxh3_64(format!("{schema}.{name}").as_bytes()) % (1 << 30)) as i32;
            (FIRST + hash..).find(|oid| !taken.contains(oid)).unwrap_or(FIRST)
        });
        taken.insert(oid);
        ((*schema, name.clone()), oid)
    };
    names.iter().map(number).collect()
}

/// Names of relations by number, as a search path of `public` shows them.
pub async fn names_by_number(lake: &LakeSchema, fixed: &Fixed) -> Result<BTreeMap<i32, String>> {
    let shown = |((schema, name), oid): ((&str, String), i32)| match schema {
        "information_schema" => (oid, format!("{schema}.{name}")),
        _ => (oid, name),
    };
    Ok(numbers(&names(lake, fixed).await?).into_iter().map(shown).collect())
}

/// All relations with their columns.
pub async fn relations(lake: &Arc<LakeSchema>, fixed: &Fixed) -> Result<Vec<Relation>> {
    let mut all = vec![];
    for ((schema, name), oid) in numbers(&names(lake, fixed).await?) {
        let columns = match schema {
            SCHEMA => match lake.table(&name).await? {
                Some(table) => table.schema(),
                // it went away meanwhile
                None => continue,
            },
            "pg_catalog" => match (layouts::of_pg_catalog(&name), fixed.table(&name)) {
                (Some(layout), _) => grid::schema(layout),
                (None, Some(table)) => table.schema(),
                (None, None) => continue,
            },
            _ => match layouts::of_information_schema(&name) {
                Some(layout) => grid::schema(layout),
                None => continue,
            },
        };
        let kind = if schema == "information_schema" { "v" } else { "r" };
        let number = SCHEMAS.iter().find(|(known, _)| *known == schema).map_or(0, |(_, oid)| *oid);
        all.push(Relation { oid, schema: (schema, number), name, kind, columns });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_from_the_name() {
        let of = |names: &[&str]| numbers(&names.iter().map(|name| (SCHEMA, name.to_string())).collect());
        let (few, many) = (of(&["events", "hits"]), of(&["campaigns", "events", "hits", "zones"]));
        let events = (SCHEMA, "events".to_string());
        assert_eq!(few[&events], many[&events]);
        assert_eq!(many.values().collect::<BTreeSet<_>>().len(), 4);
        assert!(many.values().all(|oid| *oid >= FIRST));
    }
}
