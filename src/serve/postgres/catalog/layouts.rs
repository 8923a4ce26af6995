//! Columns of the tables that are made of the lake, as PostgreSQL 16 has them. A table of which no rows are made is empty.

use super::grid::Kind::{
    Bool, Float4, Int2, Int2Vector, Int2s, Int4, Int8, Oid, OidVector, Oids, Regproc, Text, Texts, Time,
};
use super::grid::Layout;

/// The columns of a table of `pg_catalog`.
pub fn of_pg_catalog(name: &str) -> Option<Layout> {
    PG_CATALOG.iter().find(|(known, _)| *known == name).map(|(_, layout)| *layout)
}

/// True for a column of `pg_catalog` that holds nothing here, of any row: options, privileges, keys.
pub fn is_never_set(column: &str) -> bool {
    let is_list = |kind| matches!(kind, Oids | OidVector | Int2s | Int2Vector | Texts);
    let unset = |layout: &Layout| layout.iter().any(|(name, kind)| *name == column && is_list(*kind));
    PG_CATALOG.iter().any(|(_, layout)| unset(layout))
}

/// The columns of a view of `information_schema`.
pub fn of_information_schema(name: &str) -> Option<Layout> {
    INFORMATION_SCHEMA.iter().find(|(known, _)| *known == name).map(|(_, layout)| *layout)
}

#[rustfmt::skip]
pub const PG_CATALOG: &[(&str, Layout)] = &[
    ("pg_class", &[("oid", Oid), ("relname", Text), ("relnamespace", Oid), ("reltype", Oid), ("reloftype", Oid), ("relowner", Oid), ("relam", Oid), ("relfilenode", Oid), ("reltablespace", Oid), ("relpages", Int4), ("reltuples", Float4), ("relallvisible", Int4), ("reltoastrelid", Oid), ("relhasindex", Bool), ("relisshared", Bool), ("relpersistence", Text), ("relkind", Text), ("relnatts", Int2), ("relchecks", Int2), ("relhasrules", Bool), ("relhastriggers", Bool), ("relhassubclass", Bool), ("relrowsecurity", Bool), ("relforcerowsecurity", Bool), ("relispopulated", Bool), ("relreplident", Text), ("relispartition", Bool), ("relrewrite", Oid), ("relfrozenxid", Int4), ("relminmxid", Int4), ("relacl", Texts), ("reloptions", Texts), ("relpartbound", Text)]),
    ("pg_attribute", &[("attrelid", Oid), ("attname", Text), ("atttypid", Oid), ("attlen", Int2), ("attnum", Int2), ("attcacheoff", Int4), ("atttypmod", Int4), ("attndims", Int2), ("attbyval", Bool), ("attalign", Text), ("attstorage", Text), ("attcompression", Text), ("attnotnull", Bool), ("atthasdef", Bool), ("atthasmissing", Bool), ("attidentity", Text), ("attgenerated", Text), ("attisdropped", Bool), ("attislocal", Bool), ("attinhcount", Int2), ("attstattarget", Int2), ("attcollation", Oid), ("attacl", Texts), ("attoptions", Texts), ("attfdwoptions", Texts), ("attmissingval", Text)]),
    ("pg_namespace", &[("oid", Oid), ("nspname", Text), ("nspowner", Oid), ("nspacl", Texts)]),
    ("pg_database", &[("oid", Oid), ("datname", Text), ("datdba", Oid), ("encoding", Int4), ("datlocprovider", Text), ("datistemplate", Bool), ("datallowconn", Bool), ("datconnlimit", Int4), ("datfrozenxid", Int4), ("datminmxid", Int4), ("dattablespace", Oid), ("datcollate", Text), ("datctype", Text), ("daticulocale", Text), ("daticurules", Text), ("datcollversion", Text), ("datacl", Texts)]),
    ("pg_roles", &[("rolname", Text), ("rolsuper", Bool), ("rolinherit", Bool), ("rolcreaterole", Bool), ("rolcreatedb", Bool), ("rolcanlogin", Bool), ("rolreplication", Bool), ("rolconnlimit", Int4), ("rolpassword", Text), ("rolvaliduntil", Time), ("rolbypassrls", Bool), ("rolconfig", Texts), ("oid", Oid)]),
    ("pg_authid", &[("oid", Oid), ("rolname", Text), ("rolsuper", Bool), ("rolinherit", Bool), ("rolcreaterole", Bool), ("rolcreatedb", Bool), ("rolcanlogin", Bool), ("rolreplication", Bool), ("rolbypassrls", Bool), ("rolconnlimit", Int4), ("rolpassword", Text), ("rolvaliduntil", Time)]),
    ("pg_user", &[("usename", Text), ("usesysid", Oid), ("usecreatedb", Bool), ("usesuper", Bool), ("userepl", Bool), ("usebypassrls", Bool), ("passwd", Text), ("valuntil", Time), ("useconfig", Texts)]),
    ("pg_shadow", &[("usename", Text), ("usesysid", Oid), ("usecreatedb", Bool), ("usesuper", Bool), ("userepl", Bool), ("usebypassrls", Bool), ("passwd", Text), ("valuntil", Time), ("useconfig", Texts)]),
    ("pg_group", &[("groname", Text), ("grosysid", Oid), ("grolist", Oids)]),
    ("pg_auth_members", &[("oid", Oid), ("roleid", Oid), ("member", Oid), ("grantor", Oid), ("admin_option", Bool), ("inherit_option", Bool), ("set_option", Bool)]),
    ("pg_settings", &[("name", Text), ("setting", Text), ("unit", Text), ("category", Text), ("short_desc", Text), ("extra_desc", Text), ("context", Text), ("vartype", Text), ("source", Text), ("min_val", Text), ("max_val", Text), ("enumvals", Texts), ("boot_val", Text), ("reset_val", Text), ("sourcefile", Text), ("sourceline", Int4), ("pending_restart", Bool)]),
    ("pg_tables", &[("schemaname", Text), ("tablename", Text), ("tableowner", Text), ("tablespace", Text), ("hasindexes", Bool), ("hasrules", Bool), ("hastriggers", Bool), ("rowsecurity", Bool)]),
    ("pg_views", &[("schemaname", Text), ("viewname", Text), ("viewowner", Text), ("definition", Text)]),
    ("pg_indexes", &[("schemaname", Text), ("tablename", Text), ("indexname", Text), ("tablespace", Text), ("indexdef", Text)]),
    ("pg_index", &[("indexrelid", Oid), ("indrelid", Oid), ("indnatts", Int2), ("indnkeyatts", Int2), ("indisunique", Bool), ("indnullsnotdistinct", Bool), ("indisprimary", Bool), ("indisexclusion", Bool), ("indimmediate", Bool), ("indisclustered", Bool), ("indisvalid", Bool), ("indcheckxmin", Bool), ("indisready", Bool), ("indislive", Bool), ("indisreplident", Bool), ("indkey", Int2Vector), ("indcollation", OidVector), ("indclass", OidVector), ("indoption", Int2Vector), ("indexprs", Text), ("indpred", Text)]),
    ("pg_constraint", &[("oid", Oid), ("conname", Text), ("connamespace", Oid), ("contype", Text), ("condeferrable", Bool), ("condeferred", Bool), ("convalidated", Bool), ("conrelid", Oid), ("contypid", Oid), ("conindid", Oid), ("conparentid", Oid), ("confrelid", Oid), ("confupdtype", Text), ("confdeltype", Text), ("confmatchtype", Text), ("conislocal", Bool), ("coninhcount", Int2), ("connoinherit", Bool), ("conkey", Int2s), ("confkey", Int2s), ("conpfeqop", Oids), ("conppeqop", Oids), ("conffeqop", Oids), ("confdelsetcols", Int2s), ("conexclop", Oids), ("conbin", Text)]),
    ("pg_policy", &[("oid", Oid), ("polname", Text), ("polrelid", Oid), ("polcmd", Text), ("polpermissive", Bool), ("polroles", Oids), ("polqual", Text), ("polwithcheck", Text)]),
    ("pg_policies", &[("schemaname", Text), ("tablename", Text), ("policyname", Text), ("permissive", Text), ("roles", Texts), ("cmd", Text), ("qual", Text), ("with_check", Text)]),
    ("pg_rules", &[("schemaname", Text), ("tablename", Text), ("rulename", Text), ("definition", Text)]),
    ("pg_trigger", &[("oid", Oid), ("tgrelid", Oid), ("tgparentid", Oid), ("tgname", Text), ("tgfoid", Regproc), ("tgtype", Int2), ("tgenabled", Text), ("tgisinternal", Bool), ("tgconstrrelid", Oid), ("tgconstrindid", Oid), ("tgconstraint", Oid), ("tgdeferrable", Bool), ("tginitdeferred", Bool), ("tgnargs", Int2), ("tgattr", Int2Vector), ("tgargs", Text), ("tgqual", Text), ("tgoldtable", Text), ("tgnewtable", Text)]),
    ("pg_sequences", &[("schemaname", Text), ("sequencename", Text), ("sequenceowner", Text), ("data_type", Text), ("start_value", Int8), ("min_value", Int8), ("max_value", Int8), ("increment_by", Int8), ("cycle", Bool), ("cache_size", Int8), ("last_value", Int8)]),
    ("pg_matviews", &[("schemaname", Text), ("matviewname", Text), ("matviewowner", Text), ("tablespace", Text), ("hasindexes", Bool), ("ispopulated", Bool), ("definition", Text)]),
    ("pg_locks", &[("locktype", Text), ("database", Oid), ("relation", Oid), ("page", Int4), ("tuple", Int2), ("virtualxid", Text), ("transactionid", Int4), ("classid", Oid), ("objid", Oid), ("objsubid", Int2), ("virtualtransaction", Text), ("pid", Int4), ("mode", Text), ("granted", Bool), ("fastpath", Bool), ("waitstart", Time)]),
    ("pg_stat_activity", &[("datid", Oid), ("datname", Text), ("pid", Int4), ("leader_pid", Int4), ("usesysid", Oid), ("usename", Text), ("application_name", Text), ("client_addr", Text), ("client_hostname", Text), ("client_port", Int4), ("backend_start", Time), ("xact_start", Time), ("query_start", Time), ("state_change", Time), ("wait_event_type", Text), ("wait_event", Text), ("state", Text), ("backend_xid", Int4), ("backend_xmin", Int4), ("query_id", Int8), ("query", Text), ("backend_type", Text)]),
    ("pg_stat_database", &[("datid", Oid), ("datname", Text), ("numbackends", Int4), ("xact_commit", Int8), ("xact_rollback", Int8), ("blks_read", Int8), ("blks_hit", Int8), ("tup_returned", Int8), ("tup_fetched", Int8)]),
    ("pg_stat_ssl", &[("pid", Int4), ("ssl", Bool), ("version", Text), ("cipher", Text), ("bits", Int4), ("client_dn", Text), ("client_serial", Text), ("issuer_dn", Text)]),
    ("pg_stat_gssapi", &[("pid", Int4), ("gss_authenticated", Bool), ("principal", Text), ("encrypted", Bool), ("credentials_delegated", Bool)]),
    ("pg_stats", &[("schemaname", Text), ("tablename", Text), ("attname", Text), ("inherited", Bool), ("null_frac", Float4), ("avg_width", Int4), ("n_distinct", Float4)]),
    ("pg_cursors", &[("name", Text), ("statement", Text), ("is_holdable", Bool), ("is_binary", Bool), ("is_scrollable", Bool), ("creation_time", Time)]),
    ("pg_prepared_statements", &[("name", Text), ("statement", Text), ("prepare_time", Time), ("parameter_types", Texts), ("result_types", Texts), ("from_sql", Bool), ("generic_plans", Int8), ("custom_plans", Int8)]),
    ("pg_prepared_xacts", &[("transaction", Int4), ("gid", Text), ("prepared", Time), ("owner", Text), ("database", Text)]),
    ("pg_publication_tables", &[("pubname", Text), ("schemaname", Text), ("tablename", Text), ("attnames", Texts), ("rowfilter", Text)]),
    ("pg_available_extensions", &[("name", Text), ("default_version", Text), ("installed_version", Text), ("comment", Text)]),
    ("pg_user_mappings", &[("umid", Oid), ("srvid", Oid), ("srvname", Text), ("umuser", Oid), ("usename", Text), ("umoptions", Texts)]),
    ("pg_timezone_names", &[("name", Text), ("abbrev", Text), ("utc_offset", Text), ("is_dst", Bool)]),
    ("pg_db_role_setting", &[("setdatabase", Oid), ("setrole", Oid), ("setconfig", Texts)]),
    ("pg_extension", &[("oid", Oid), ("extname", Text), ("extowner", Oid), ("extnamespace", Oid), ("extrelocatable", Bool), ("extversion", Text), ("extconfig", Oids), ("extcondition", Texts)]),
];

#[rustfmt::skip]
pub const INFORMATION_SCHEMA: &[(&str, Layout)] = &[
    ("information_schema_catalog_name", &[("catalog_name", Text)]),
    ("schemata", &[("catalog_name", Text), ("schema_name", Text), ("schema_owner", Text), ("default_character_set_catalog", Text), ("default_character_set_schema", Text), ("default_character_set_name", Text), ("sql_path", Text)]),
    ("tables", &[("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("table_type", Text), ("self_referencing_column_name", Text), ("reference_generation", Text), ("user_defined_type_catalog", Text), ("user_defined_type_schema", Text), ("user_defined_type_name", Text), ("is_insertable_into", Text), ("is_typed", Text), ("commit_action", Text)]),
    ("columns", &[("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("column_name", Text), ("ordinal_position", Int4), ("column_default", Text), ("is_nullable", Text), ("data_type", Text), ("character_maximum_length", Int4), ("character_octet_length", Int4), ("numeric_precision", Int4), ("numeric_precision_radix", Int4), ("numeric_scale", Int4), ("datetime_precision", Int4), ("interval_type", Text), ("interval_precision", Int4), ("character_set_catalog", Text), ("character_set_schema", Text), ("character_set_name", Text), ("collation_catalog", Text), ("collation_schema", Text), ("collation_name", Text), ("domain_catalog", Text), ("domain_schema", Text), ("domain_name", Text), ("udt_catalog", Text), ("udt_schema", Text), ("udt_name", Text), ("scope_catalog", Text), ("scope_schema", Text), ("scope_name", Text), ("maximum_cardinality", Int4), ("dtd_identifier", Text), ("is_self_referencing", Text), ("is_identity", Text), ("identity_generation", Text), ("identity_start", Text), ("identity_increment", Text), ("identity_maximum", Text), ("identity_minimum", Text), ("identity_cycle", Text), ("is_generated", Text), ("generation_expression", Text), ("is_updatable", Text)]),
    ("views", &[("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("view_definition", Text), ("check_option", Text), ("is_updatable", Text), ("is_insertable_into", Text), ("is_trigger_updatable", Text), ("is_trigger_deletable", Text), ("is_trigger_insertable_into", Text)]),
    ("table_constraints", &[("constraint_catalog", Text), ("constraint_schema", Text), ("constraint_name", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("constraint_type", Text), ("is_deferrable", Text), ("initially_deferred", Text), ("enforced", Text), ("nulls_distinct", Text)]),
    ("key_column_usage", &[("constraint_catalog", Text), ("constraint_schema", Text), ("constraint_name", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("column_name", Text), ("ordinal_position", Int4), ("position_in_unique_constraint", Int4)]),
    ("referential_constraints", &[("constraint_catalog", Text), ("constraint_schema", Text), ("constraint_name", Text), ("unique_constraint_catalog", Text), ("unique_constraint_schema", Text), ("unique_constraint_name", Text), ("match_option", Text), ("update_rule", Text), ("delete_rule", Text)]),
    ("constraint_column_usage", &[("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("column_name", Text), ("constraint_catalog", Text), ("constraint_schema", Text), ("constraint_name", Text)]),
    ("constraint_table_usage", &[("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("constraint_catalog", Text), ("constraint_schema", Text), ("constraint_name", Text)]),
    ("check_constraints", &[("constraint_catalog", Text), ("constraint_schema", Text), ("constraint_name", Text), ("check_clause", Text)]),
    ("character_sets", &[("character_set_catalog", Text), ("character_set_schema", Text), ("character_set_name", Text), ("character_repertoire", Text), ("form_of_use", Text), ("default_collate_catalog", Text), ("default_collate_schema", Text), ("default_collate_name", Text)]),
    ("collations", &[("collation_catalog", Text), ("collation_schema", Text), ("collation_name", Text), ("pad_attribute", Text)]),
    ("enabled_roles", &[("role_name", Text)]),
    ("applicable_roles", &[("grantee", Text), ("role_name", Text), ("is_grantable", Text)]),
    ("administrable_role_authorizations", &[("grantee", Text), ("role_name", Text), ("is_grantable", Text)]),
    ("table_privileges", &[("grantor", Text), ("grantee", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("privilege_type", Text), ("is_grantable", Text), ("with_hierarchy", Text)]),
    ("role_table_grants", &[("grantor", Text), ("grantee", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("privilege_type", Text), ("is_grantable", Text), ("with_hierarchy", Text)]),
    ("column_privileges", &[("grantor", Text), ("grantee", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("column_name", Text), ("privilege_type", Text), ("is_grantable", Text)]),
    ("usage_privileges", &[("grantor", Text), ("grantee", Text), ("object_catalog", Text), ("object_schema", Text), ("object_name", Text), ("object_type", Text), ("privilege_type", Text), ("is_grantable", Text)]),
    ("domains", &[("domain_catalog", Text), ("domain_schema", Text), ("domain_name", Text), ("data_type", Text), ("udt_catalog", Text), ("udt_schema", Text), ("udt_name", Text)]),
    ("sequences", &[("sequence_catalog", Text), ("sequence_schema", Text), ("sequence_name", Text), ("data_type", Text), ("numeric_precision", Int4), ("numeric_precision_radix", Int4), ("numeric_scale", Int4), ("start_value", Text), ("minimum_value", Text), ("maximum_value", Text), ("increment", Text), ("cycle_option", Text)]),
    ("triggers", &[("trigger_catalog", Text), ("trigger_schema", Text), ("trigger_name", Text), ("event_manipulation", Text), ("event_object_catalog", Text), ("event_object_schema", Text), ("event_object_table", Text), ("action_order", Int4), ("action_condition", Text), ("action_statement", Text), ("action_orientation", Text), ("action_timing", Text)]),
    ("routines", &[("specific_catalog", Text), ("specific_schema", Text), ("specific_name", Text), ("routine_catalog", Text), ("routine_schema", Text), ("routine_name", Text), ("routine_type", Text), ("data_type", Text), ("type_udt_catalog", Text), ("type_udt_schema", Text), ("type_udt_name", Text), ("routine_body", Text), ("routine_definition", Text), ("external_language", Text), ("is_deterministic", Text), ("security_type", Text)]),
    ("parameters", &[("specific_catalog", Text), ("specific_schema", Text), ("specific_name", Text), ("ordinal_position", Int4), ("parameter_mode", Text), ("parameter_name", Text), ("data_type", Text), ("udt_name", Text)]),
    ("element_types", &[("object_catalog", Text), ("object_schema", Text), ("object_name", Text), ("object_type", Text), ("collection_type_identifier", Text), ("data_type", Text), ("udt_catalog", Text), ("udt_schema", Text), ("udt_name", Text)]),
    ("view_table_usage", &[("view_catalog", Text), ("view_schema", Text), ("view_name", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text)]),
    ("view_column_usage", &[("view_catalog", Text), ("view_schema", Text), ("view_name", Text), ("table_catalog", Text), ("table_schema", Text), ("table_name", Text), ("column_name", Text)]),
    ("foreign_tables", &[("foreign_table_catalog", Text), ("foreign_table_schema", Text), ("foreign_table_name", Text), ("foreign_server_catalog", Text), ("foreign_server_name", Text)]),
    ("sql_features", &[("feature_id", Text), ("feature_name", Text), ("sub_feature_id", Text), ("sub_feature_name", Text), ("is_supported", Text), ("is_verified_by", Text), ("comments", Text)]),
];
