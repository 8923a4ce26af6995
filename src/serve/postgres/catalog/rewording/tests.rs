//! Statements about catalogs, and what becomes of them.

#![allow(clippy::unwrap_used)]

use super::*;

fn words(sql: &str) -> String {
    understood(sql).unwrap()[0].to_string()
}

#[test]
fn what_has_no_rows_is_not_computed() {
    for (sql, expected) in [
        (
            "SELECT a, ARRAY(SELECT b FROM pg_roles) AS c FROM pg_policy WHERE d = ANY(e)",
            "SELECT a, NULL AS c FROM pg_catalog.pg_policy WHERE false",
        ),
        (
            "SELECT a FROM pg_class c LEFT JOIN pg_index i ON i.b = c.a WHERE c.d = 1",
            "SELECT a FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_index AS i ON i.b = c.a WHERE c.d = 1",
        ),
        (
            "SELECT a FROM pg_class c JOIN pg_index i ON c.a = ANY(i.b) WHERE c.d = $1",
            "SELECT a FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_index AS i ON true WHERE (c.d = $1) AND false",
        ),
        (
            "SELECT a || ARRAY(SELECT x FROM unnest(t.reloptions) x) AS b FROM pg_class t",
            "SELECT a || ARRAY[]::TEXT[] AS b FROM pg_catalog.pg_class AS t",
        ),
        ("SELECT count(*) AS n FROM pg_index", "SELECT count(*) AS n FROM pg_catalog.pg_index"),
        ("SELECT l.tableoid AS n FROM pg_language l", "SELECT 2612 AS n FROM pg_catalog.pg_language AS l"),
        (
            "SELECT L.xmin, age(xmin) AS age FROM pg_language l",
            "SELECT 1 AS xmin, 2147483647 AS age FROM pg_catalog.pg_language AS l",
        ),
        (
            "SELECT count(t.relid) AS n FROM pg_partition_tree('x') t",
            "SELECT count(t.relid) AS n FROM (SELECT NULL::INT AS relid, NULL::INT AS parentrelid, false AS isleaf, 0 AS level WHERE false) AS t",
        ),
    ] {
        let found = words(sql).replace("CAST(ARRAY[] AS TEXT[])", "ARRAY[]::TEXT[]");
        // an alias is written as the client wrote it
        assert_eq!(found.replace(" AS ", " "), expected.replace(" AS ", " "));
    }
}

#[test]
fn the_items_of_an_array_are_called_as_they_are() {
    let found = words("SELECT k FROM t CROSS JOIN unnest(t.a) AS k").to_lowercase();
    assert_eq!(found, "select k from t cross join unnest(t.a) as k (k)");
    let named = words("SELECT k.b FROM t CROSS JOIN unnest(t.a) AS k (b)").to_lowercase();
    assert_eq!(named, "select k.b from t cross join unnest(t.a) as k (b)");
}

#[test]
fn patterns_of_postgres_as_strptime_reads_them() {
    for (pattern, expected) in [
        ("YYYY-MM-DD\"T\"HH24:MI:SS.MS", Some("%Y-%m-%dT%H:%M:%S.%3f")),
        ("fmDD Mon yy, HH12 am", Some("%d %b %y, %I %p")),
        ("%Y-%m-%d", None),
        ("YYYY-IW", None),
        ("YYYY \"open", None),
    ] {
        assert_eq!(strptime(pattern).as_deref(), expected, "{pattern}");
    }
}

#[test]
fn other_words_for_the_same() {
    for (sql, expected) in [
        ("SELECT a FROM t WHERE a = ANY('{1,2}')", "SELECT a FROM t WHERE any_equal(a, '{1,2}')"),
        ("SELECT a FROM t WHERE a <> ALL($1)", "SELECT a FROM t WHERE NOT any_equal(a, $1)"),
        ("SELECT a FROM t WHERE a < ANY('{1,2}')", "SELECT a FROM t WHERE a < ANY(ARRAY['1', '2'])"),
        ("SELECT a FROM t WHERE a LIKE '10!%' ESCAPE '!'", "SELECT a FROM t WHERE a LIKE '10\\%'"),
        ("SELECT a FROM t WHERE a LIKE ANY (ARRAY['x%', 'y%'])", "SELECT a FROM t WHERE (a LIKE 'x%' OR a LIKE 'y%')"),
        ("SELECT a FROM t WHERE a LIKE b ESCAPE '!'", "SELECT a FROM t WHERE a LIKE like_pattern(b, '!')"),
        (
            "SELECT ARRAY(SELECT b FROM u ORDER BY 1) AS b FROM t",
            "SELECT array_concat((SELECT array_agg(b ORDER BY b) FROM u), make_array()) AS b FROM t",
        ),
        ("SELECT a FROM pg_stat_activity", "SELECT a FROM pg_catalog.pg_stat_activity"),
        ("SELECT generate_series(1, 3) AS n", "SELECT unnest(generate_series(1, 3)) AS n"),
        ("SELECT json_each(a) AS a FROM t", "SELECT unnest(json_each_row(a)) AS a FROM t"),
        (
            "SELECT (jsonb_each_text(a)).key AS k, (json_each(a)).value AS v FROM t",
            "SELECT unnest(json_each_key(a)) AS k, unnest(json_each_value(a)) AS v FROM t",
        ),
        ("SELECT string_to_table(a, ',') AS a FROM t", "SELECT unnest(string_to_array(a, ',')) AS a FROM t"),
        ("SELECT generate_series(1, a) * 2 AS a FROM t", "SELECT unnest(generate_series(1, a)) * 2 AS a FROM t"),
        (
            "SELECT json_array_elements(a) ->> 'b' AS b FROM t",
            "SELECT unnest(json_array_elements(a)) ->> 'b' AS b FROM t",
        ),
        // who takes the list has it
        (
            "SELECT unnest(generate_series(1, 3)) AS a, cardinality(generate_series(1, 3)) AS b",
            "SELECT unnest(generate_series(1, 3)) AS a, CAST(cardinality(generate_series(1, 3)) AS BIGINT) AS b",
        ),
        (
            "SELECT (SELECT CASE WHEN t.a = 1 THEN -7 END FROM pg_type WHERE oid = t.b) AS x FROM t",
            "SELECT CASE WHEN (SELECT count(*) FROM pg_catalog.pg_type WHERE oid = t.b) > 0 THEN CASE WHEN t.a = 1 THEN -7 END END AS x FROM t",
        ),
        (
            "SELECT a IN (SELECT b FROM u) AS x, a <> ALL (SELECT b FROM u) AS y FROM t WHERE a IN (SELECT b FROM u)",
            "SELECT any_equal(a, (SELECT array_agg(b) FROM u), true) AS x, NOT any_equal(a, (SELECT array_agg(b) FROM u), true) AS y FROM t WHERE a IN (SELECT b FROM u)",
        ),
        (
            "SELECT ARRAY(SELECT generate_series(1, 3)) AS a",
            "SELECT array_concat((SELECT generate_series(1, 3)), make_array()) AS a",
        ),
        (
            "SELECT ARRAY(SELECT DISTINCT b FROM u) AS b",
            "SELECT array_concat((SELECT array_agg(DISTINCT b) FROM u), make_array()) AS b",
        ),
        (
            "SELECT ARRAY(SELECT b FROM u ORDER BY c LIMIT 2) AS b",
            "SELECT array_concat((SELECT array_agg(collected.item) FROM (SELECT b FROM u ORDER BY c LIMIT 2) AS collected (item)), make_array()) AS b",
        ),
        ("SELECT date(a) AS a FROM t", "SELECT CAST(a AS DATE) AS a FROM t"),
        (
            "SELECT CAST(CAST(format('%I', b) AS REGCLASS) AS OID) AS b, ('a.' || b)::regclass::text AS c FROM t",
            "WITH \"\u{1f}relations\" AS (SELECT 1 FROM pg_catalog.pg_index) SELECT CAST(regclass_number(format('%I', b)) AS INTEGER) AS b, regclass_name(regclass_number(('a.' || b))) AS c FROM t",
        ),
        (
            "SELECT a FROM t WHERE b = 'int4'::regtype AND c = 'public'::regnamespace AND d = to_regproc('upper')",
            "SELECT a FROM t WHERE b = object_number('regtype', 'int4') AND c = object_number('regnamespace', 'public') AND d = to_regproc('upper')",
        ),
        (
            "SELECT 'x' = ANY (ARRAY(SELECT b FROM u)) AS x FROM t",
            "SELECT any_equal('x', (SELECT array_agg(b) FROM u), true) AS x FROM t",
        ),
        (
            "SELECT (SELECT sum(a) + sum(b) FROM pg_stat_database) AS n FROM t",
            "SELECT (SELECT sum(a) + sum(b) FROM pg_catalog.pg_stat_database LIMIT 1) AS n FROM t",
        ),
        (
            "SELECT (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS n FROM pg_class c",
            "SELECT ((SELECT count(*) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0)) AS n FROM pg_catalog.pg_class AS c",
        ),
        (
            "SELECT (SELECT t.a FROM pg_type t WHERE t.b = c.b ORDER BY t.c LIMIT 1) AS n FROM pg_class c",
            "SELECT ((SELECT first_value(t.a ORDER BY t.c) FROM pg_catalog.pg_type AS t WHERE t.b = c.b)) AS n FROM pg_catalog.pg_class AS c",
        ),
        (
            "SELECT a FROM pg_type WHERE b = ANY (SELECT c FROM pg_class) AND d <> ALL (SELECT e FROM pg_class)",
            "SELECT a FROM pg_catalog.pg_type WHERE b IN (SELECT c FROM pg_catalog.pg_class) AND d NOT IN (SELECT e FROM pg_catalog.pg_class)",
        ),
        ("SELECT a FROM t WHERE b = '{1,2}'::INT[]", "SELECT a FROM t WHERE b = ARRAY['1', '2']::INT[]"),
        ("SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "SELECT a FROM t LIMIT 3"),
        ("SELECT a FROM t WHERE b = current_user", "SELECT a FROM t WHERE b = current_user()"),
        (
            "SELECT mod(a, 3) + 1 AS a, sign(a) OVER () AS b FROM t",
            "SELECT ((a) % (3)) + 1 AS a, signum(a) OVER () AS b FROM t",
        ),
        (
            "SELECT to_date(a, 'DD.MM.YYYY') AS a, to_timestamp(b, '%Y') AS b FROM t",
            "SELECT to_date(a, '%d.%m.%Y') AS a, to_timestamp(b, '%Y') AS b FROM t",
        ),
        (
            "SELECT CASE WHEN NOT EXISTS (SELECT a FROM t) THEN 1 END AS x FROM u WHERE EXISTS (SELECT b FROM t)",
            "SELECT CASE WHEN ((SELECT max(found) FROM (SELECT count(*) = 0 AS found FROM (SELECT a FROM t) AS asked) \
AS counted)) THEN 1 END AS x FROM u WHERE EXISTS (SELECT b FROM t)",
        ),
        (
            "SELECT oid FROM pg_type WHERE typname::name = 'x'",
            "SELECT oid FROM pg_catalog.pg_type WHERE typname::TEXT = 'x'",
        ),
        ("SELECT t AT TIME ZONE 'Asia/Tokyo' AS t FROM x", "SELECT timezone('Asia/Tokyo', t) AS t FROM x"),
        (
            "SELECT oid FROM pg_type WHERE typreceive::text <> 'x' AND typelem::regtype::text = 'y'",
            "SELECT oid FROM pg_catalog.pg_type WHERE regproc_name(typreceive) <> 'x' AND format_type(typelem, NULL) = 'y'",
        ),
    ] {
        assert_eq!(words(sql).replace(" AS ", " "), expected.replace(" AS ", " "));
    }
}

#[test]
fn domains_and_types_of_rows_as_drivers_ask_for_them() {
    let domain = words(
        "SELECT (WITH RECURSIVE b(oid, depth) AS (SELECT u.typbasetype AS oid, 0 AS depth FROM pg_type u WHERE u.oid = t.oid \
         UNION ALL SELECT u.typbasetype AS oid, b.depth + 1 AS depth FROM pg_type u, b WHERE b.oid = u.oid AND u.typbasetype != 0) \
         SELECT oid FROM b ORDER BY depth DESC LIMIT 1) AS x FROM pg_type t",
    );
    assert!(domain.contains("(SELECT max(u.typbasetype) FROM pg_catalog.pg_type"), "{domain}");
    assert!(!domain.contains("RECURSIVE"), "{domain}");
    let rows = words(
        "SELECT (SELECT array_agg(a.atttypid ORDER BY a.attnum) FROM pg_attribute a JOIN pg_class c ON a.attrelid = c.oid \
         WHERE a.attnum > 0 AND c.reltype = t.oid) AS x FROM pg_type t",
    );
    assert_eq!(rows.replace(" AS ", " "), "SELECT NULL x FROM pg_catalog.pg_type t");
}

#[test]
fn parameters_have_the_types_of_their_casts() {
    let sql = "SELECT $1::uuid, CAST($2 AS oid[]), $3::int[], $4::varchar(5)[], $5::jsonb, $1::name, $7 FROM t";
    let expected = [(1, Type::UUID), (2, Type::OID_ARRAY), (4, Type::VARCHAR_ARRAY), (5, Type::JSONB)];
    assert_eq!(parameter_types(sql), BTreeMap::from(expected));
    assert!(parameter_types("COPY (SELECT $1::uuid) TO STDOUT").is_empty());
    assert!(parameter_types("SELECT a::uuid FROM t").is_empty());
}
