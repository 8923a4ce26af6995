"""What Postgres clients expect of the Postgres door. postgres.py NAME PORT USER PASSWORD

Expected values are those that PostgreSQL's manual gives for the same statement, where the lake is not asked.
"""

import asyncio
import contextlib
import datetime
import decimal
import sys
import uuid

import psycopg

UTC = datetime.timezone.utc


def connect(port, user, password, **options):
    return psycopg.connect(
        host="127.0.0.1", port=port, user=user, password=password, dbname="rejoin", autocommit=True, **options
    )


def one(connection, sql, *parameters, binary=False):
    """The only value of a statement."""
    with connection.cursor(binary=binary) as cursor:
        row = cursor.execute(sql, parameters or None, prepare=True if parameters else None).fetchone()
        return row[0]


def refused(sqlstate, ask, *words):
    try:
        ask()
    except psycopg.Error as error:
        found = error.sqlstate or sqlstate
        assert found == sqlstate, f"{found}: {error}"
        assert all(word in str(error) for word in words), error
        return
    raise AssertionError(f"expected {sqlstate}")


def answers(*server):
    """Statements that Postgres answers have its answers."""
    guest = connect(*server)
    for sql, expected in [
        ("SELECT to_char(timestamp '2026-09-01 15:04:05.25', 'YYYY-MM-DD HH24:MI:SS.MS')", "2026-09-01 15:04:05.250"),
        ("SELECT to_char(1234.5, 'FM9,999.00')", "1,234.50"),
        ("SELECT 2 = ANY('{1,2}')", True),
        ("SELECT 'c' = ANY('{a,\"b,c\"}')", False),
        ("SELECT 3 <> ALL('{1,2}')", True),
        ("SELECT 3 = ANY('{1,NULL}')", None),
        ("SELECT 3 = ANY('{}')", False),
        ("SELECT date '2026-09-01' = ANY('{2026-09-01}')", True),
        ("SELECT 2 < ANY(ARRAY[1, 3])", True),
        ("SELECT 'a_b' LIKE 'a!_b' ESCAPE '!'", True),
        ("SELECT 'axb' LIKE 'a!_b' ESCAPE '!'", False),
        ("SELECT timestamptz '2026-09-01 12:00:00+02' AT TIME ZONE 'Asia/Tokyo'", datetime.datetime(2026, 9, 1, 19)),
        ("SELECT timestamp '2026-09-01 12:00:00' AT TIME ZONE 'Asia/Tokyo'", datetime.datetime(2026, 9, 1, 3, tzinfo=UTC)),
        ("SELECT timestamptz '2026-09-01 12:00:00+02'", datetime.datetime(2026, 9, 1, 10, tzinfo=UTC)),
        ("SELECT date_trunc('day', timestamptz '2026-09-01 12:00:00+00')", datetime.datetime(2026, 9, 1, tzinfo=UTC)),
        ("SELECT interval '1 day 2 hours'", datetime.timedelta(days=1, hours=2)),
        ("SELECT pg_typeof(1::bigint)", "bigint"),
        ("SELECT current_setting('server_version_num')::int / 10000", 16),
        ("SELECT count(*) FROM (SELECT 1 FETCH FIRST ROW ONLY) x", 1),
        ("SELECT EXISTS (SELECT 1 FROM suites)", True),
        ("SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM suites) THEN 'none' ELSE 'some' END", "some"),
        ("SELECT EXISTS (SELECT 1 FROM pg_index)", False),
        ("SELECT EXISTS (SELECT 1 FROM information_schema.tables t WHERE t.table_name = 'suites')", True),
        ("SELECT mod(7, 3)", 1),
        ("SELECT sign(-2)", -1.0),
        ("SELECT pg_size_pretty(123456789::bigint)", "118 MB"),
        ("SELECT quote_literal('it''s')", "'it''s'"),
        ("SELECT quote_nullable(NULL)", "NULL"),
        ("SELECT to_date('01.09.2026', 'DD.MM.YYYY')", datetime.date(2026, 9, 1)),
        ("SELECT make_timestamp(2026, 9, 1, 12, 30, 1.5)", datetime.datetime(2026, 9, 1, 12, 30, 1, 500000)),
        # a month is 30 days to the driver
        ("SELECT age(timestamp '2026-03-01', timestamp '2026-01-31 12:00:00')", datetime.timedelta(days=30, hours=12)),
        ("SELECT format_type(1700, NULL)", "numeric"),
        ("SELECT timestamp '2026-01-31 12:00'", datetime.datetime(2026, 1, 31, 12)),
        ("SELECT timestamp '2026-01-31T12:00Z'", datetime.datetime(2026, 1, 31, 12)),
        ("SELECT timestamptz '2026-01-31 12:00 +02'", datetime.datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("SELECT timestamptz '2026-07-31 12:00 CET'", datetime.datetime(2026, 7, 31, 11, tzinfo=UTC)),
        ("SELECT timestamptz 'Sat, 31 Jan 2026 12:00:00 GMT'", datetime.datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("SELECT 'epoch'::timestamptz", datetime.datetime(1970, 1, 1, tzinfo=UTC)),
        ("SELECT '2026-01-31 12:00:00.7'::timestamp(0)", datetime.datetime(2026, 1, 31, 12, 0, 1)),
        ("SELECT 'Jan 31, 2026'::date", datetime.date(2026, 1, 31)),
        ("SELECT '2026-01-31 12:30'::date", datetime.date(2026, 1, 31)),
        ("SELECT '0400'::time", datetime.time(4)),
        ("SELECT '04:05 PM'::time", datetime.time(16, 5)),
        ("SELECT 'today'::date = current_date AND 'yesterday'::date < 'now'::timestamptz", True),
        ("SELECT timestamp '2026-01-31 12:00:00' IN ('2026-01-31 12:00')", True),
        ("SELECT interval '1 day 02:00'", datetime.timedelta(days=1, hours=2)),
        ("SELECT '2 hours ago'::interval", datetime.timedelta(hours=-2)),
        ("SELECT interval '1.5 weeks'", datetime.timedelta(days=10, hours=12)),
        ("SELECT -interval 'P1DT2H'", datetime.timedelta(days=-1, hours=-2)),
        ("SELECT interval '1.5' day", datetime.timedelta(days=1)),
        ("SELECT 7 * interval '1 day' / 2", datetime.timedelta(days=3, hours=12)),
        ("SELECT timestamptz 'epoch' + 1769860800 * interval '1 second'", datetime.datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("SELECT timestamp '2026-01-31 12:00' + '1 day'", datetime.datetime(2026, 2, 1, 12)),
        ("SELECT date(timestamp '2026-01-31 12:00')", datetime.date(2026, 1, 31)),
        ("SELECT date '2026-01-31' + interval '1 month'", datetime.datetime(2026, 2, 28)),
        ("SELECT timestamp '9999-12-31'", datetime.datetime(9999, 12, 31)),
        ("SELECT count(*) FROM events WHERE hit_time > '9999-12-31' OR hit_time < '0001-01-01'", 0),
        ("SELECT extract(second FROM timestamp '2026-01-31 12:34:56.789')", 56.789),
        ("SELECT timestamp '2026-01-03 12:00' - timestamp '2026-01-01' > interval '2 days'", True),
        ("SELECT make_interval(days => 1, hours => 2)", datetime.timedelta(days=1, hours=2)),
        ("SELECT timestamp '2026-01-31 12:00:00.25'::text", "2026-01-31 12:00:00.25"),
        ("SELECT timestamptz '2026-01-31 12:00+02'::text", "2026-01-31 10:00:00+00"),
        ("SELECT interval '1 day 02:00'::text", "1 day 02:00:00"),
        ("SELECT ARRAY[1, NULL]::text || ARRAY['a b', 'c']::text", '{1,NULL}{"a b",c}'),
        ("SELECT max(d)::text FROM generate_series(date '2026-01-01', date '2026-01-03', '1 day') d", "2026-01-03 00:00:00"),
        ("SELECT json_agg(json_build_object('x', x) ORDER BY x) FROM (VALUES (1), (2)) t(x)", '[{"x":1},{"x":2}]'),
        ("SELECT to_json('[1]'::jsonb)", "[1]"),
        ("SELECT (SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
         " WHERE a.attrelid = c.oid AND a.attnum IN (1, 2)) FROM pg_class c WHERE c.relname = 'suites'", "suite,transaction_id"),
        ("SELECT sum(n) FROM (SELECT generate_series(1, 3) AS n) x", 6),
        ("SELECT string_agg(n, ',' ORDER BY n) FROM (SELECT generate_series(1, 3)::text AS n) x", "1,2,3"),
        ("SELECT sum(n) FROM (SELECT generate_series(1, 3) * a AS n FROM (VALUES (2)) t(a)) x", 12),
        ("SELECT max(d) FROM (SELECT generate_series(date '2026-01-01', date '2026-01-03', '1 day')::date AS d) x", datetime.date(2026, 1, 3)),
        ("SELECT count(*) FROM (SELECT unnest(ARRAY['a', 'b']) || regexp_split_to_table('1,2', ',') AS n) x WHERE n IN ('a1', 'b2')", 2),
        ("SELECT regexp_split_to_array('a1b22c', '[0-9]+')", ["a", "b", "c"]),
        ("SELECT string_agg(key || value, ',' ORDER BY key) FROM json_each_text('{\"a\": 1, \"b\": \"x\"}')", "a1,bx"),
        ("SELECT e.value -> 'c' FROM (VALUES ('{\"b\": {\"c\": 2}}'::jsonb)) t(j), jsonb_each(t.j) AS e", "2"),
        ("SELECT string_agg(e ->> 'a', ',') FROM json_array_elements('[{\"a\": 1}, {\"a\": \"x\"}]') AS e", "1,x"),
        ("SELECT string_agg(value, ',') FROM json_array_elements_text('[1, null, \"b\"]')", "1,b"),
        ("SELECT count(*) FROM (SELECT json_object_keys('{\"a\": 1, \"b\": 2}') AS k) x WHERE k IN ('a', 'b')", 2),
        # tools ask for the columns of somebody's statement by their heads
        ("SELECT x.count > 0 FROM (SELECT suite, count(*) FROM suites GROUP BY 1) x", True),
        ("WITH x AS (SELECT max(d)::text FROM (VALUES (date '2026-01-31')) t(d)) SELECT max FROM x", "2026-01-31"),
        ("SELECT x.d FROM (SELECT d::text FROM (VALUES (date '2026-01-31')) t(d)) x", "2026-01-31"),
        ("SELECT array_remove(ARRAY[1, 2, 1], 1)::text || array_replace(ARRAY[1, 2, 1], 1, 5)::text", "{2}{5,2,5}"),
        ("SELECT string_agg(x, '|' ORDER BY n) FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(x, n)", "a|b"),
        ("SELECT 2 = ANY (ARRAY(SELECT generate_series(1, 3)))", True),
        ("SELECT 4 = ANY (ARRAY(SELECT value FROM range(1, 4)))", False),
        ("SELECT 2 IN (SELECT unnest(ARRAY[1, 2]))", True),
        ("SELECT 2 NOT IN (SELECT value FROM range(1, 4))", False),
        ("SELECT NULL::bigint IN (SELECT value FROM range(1, 4) WHERE value > 9)", False),
        ("SELECT date '2026-01-31' = ANY('{20260131}')", True),
        # as pgjdbc sends a day
        ("SELECT '2026-01-31 -05'::date", datetime.date(2026, 1, 31)),
        ("SELECT '2026-01-31 +02'::timestamp", datetime.datetime(2026, 1, 31)),
        ("SELECT 'abc'::character varying || 'd'::character varying(20)", "abcd"),
        ("SELECT date '2026-01-31' = ANY(ARRAY['Jan 31, 2026']::date[])", True),
        ("SELECT '{20260131,NULL}'::date[]", [datetime.date(2026, 1, 31), None]),
        ("SELECT to_regclass('public.' || 'events') = 'events'::regclass", True),
        ("SELECT to_regclass('nosuch') IS NULL", True),
        ("SELECT 'events'::regclass", "events"),
        ("SELECT 'pg_class'::regclass", "pg_class"),
        ("SELECT 'int4'::regtype", "integer"),
        # of computed names, and of no object
        ("SELECT ('ev' || 'ents')::regclass", "events"),
        ("SELECT (CASE WHEN true THEN 'public.' || 'events' END)::regclass", "events"),
        ("WITH a AS (SELECT 'ents' AS n) SELECT ('ev' || n)::regclass::text FROM a", "events"),
        ("SELECT to_regclass('no' || 'pe') IS NULL", True),
        ("SELECT ('int' || '4')::regtype", "integer"),
        ("SELECT ('up' || 'per')::regproc", "upper"),
        ("SELECT '-'::regproc", "-"),
        ("SELECT '-'::regproc::oid", 0),
        ("SELECT '-'::regclass", "-"),
        ("SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'pg_class'::regclass AND attname = 'oid'", "oid"),
        ("SELECT 'abc'::varchar(2)", "ab"),
        ("SELECT 2.5::int", 3),
        ("SELECT '\\x01ff'::bytea", b"\x01\xff"),
        ("SELECT coalesce(time '12:00', '13:00')", datetime.time(12)),
        ("SELECT (1, 2) IN (SELECT 1, 2)", True),
        ("SELECT to_regclass('events') = 'events'::regclass AND to_regclass('pg_class') = 1259", True),
        ("SELECT coalesce(to_regclass('nope'), to_regtype('nope'), to_regproc('nope'), to_regnamespace('nope'), to_regrole('nope')) IS NULL", True),
        ("SELECT to_regnamespace('public') = 2200 AND to_regproc('upper') IS NOT NULL AND to_regrole(current_user) IS NOT NULL", True),
        ("SELECT 'public'::regnamespace", "public"),
        ("SELECT to_regtype('int4')", "integer"),
        ("SELECT to_regtype('nope')", None),
        ("SELECT to_regclass('events')", "events"),
        ("SELECT to_regproc('upper')", "upper"),
        ("SELECT (SELECT 1 WHERE false)", None),
        ("SELECT u.v + 1 FROM (SELECT (SELECT 1 WHERE false) AS v) u", None),
        ("SELECT 'pg_catalog.upper'::regproc::text || 'events'::regclass::text", "upperevents"),
        ("SELECT count(*) FROM pg_class WHERE oid = 'events'::regclass AND relnamespace = 'public'::regnamespace", 1),
        # which column is meant
        ("SELECT u.n * 10 AS n FROM (VALUES (3), (1), (2)) u(n) ORDER BY u.n", 10),
        ("SELECT -u.n AS n FROM (VALUES (3), (1), (2)) u(n) ORDER BY n", -3),
        ("SELECT upper(u.n) AS n FROM (VALUES ('b'), ('a')) u(n) ORDER BY lower(u.n) DESC", "B"),
        ("SELECT max(u.n) AS n FROM (VALUES (1, 5), (2, 4)) u(k, n) GROUP BY u.k ORDER BY max(u.n)", 4),
        ("SELECT x.n FROM (SELECT u.n * 10 AS n FROM (VALUES (3), (1)) u(n) ORDER BY u.n LIMIT 1) x", 10),
        # doubles that are looked at where a condition holds
        ("SELECT count(*) FROM (VALUES (1.0, 0.0), (6.0, 2.0)) t(a, b) WHERE b <> 0 AND a / b > 1", 1),
        ("SELECT sum(a / b) FILTER (WHERE b <> 0) FROM (VALUES (1.0, 0.0), (6.0, 2.0)) t(a, b)", 3.0),
        ("SELECT avg(x) FROM (VALUES (interval '1 day'), (interval '2 days')) t(x)", datetime.timedelta(days=1, hours=12)),
        ("SELECT sum(x) FROM (VALUES (interval '1 day'), (interval '2 hours')) t(x)", datetime.timedelta(days=1, hours=2)),
        ("SELECT count(*) FROM (SELECT x FROM (VALUES (interval '1 month'), (interval '30 days')) t(x) GROUP BY x) u", 1),
        ("SELECT timestamp '2026-01-01 00:00:00.15'::timestamp(1)", datetime.datetime(2026, 1, 1, 0, 0, 0, 200000)),
        ("SELECT '12:34:56.789'::time(1)", datetime.time(12, 34, 56, 800000)),
        ("SELECT localtimestamp(0) = localtimestamp(0)::timestamp(0)", True),
        ("SELECT count(*) FROM (SELECT json_each('{\"a\": 1, \"b\": \"x\"}') AS r) x WHERE r IN ('(a,1)', '(b,\"\"\"x\"\"\")')", 2),
        ("SELECT string_agg(k || v, ',' ORDER BY k) FROM (SELECT (json_each_text('{\"a\": 1, \"b\": \"x\"}')).key AS k, (json_each_text('{\"a\": 1, \"b\": \"x\"}')).value AS v) x", "a1,bx"),
        ("SELECT count(*) FROM (SELECT generate_series(1, 2) AS a, unnest(ARRAY['x', 'y', 'z']) AS b) x WHERE a IS NULL AND b = 'z'", 1),
        # what counts is a whole number
        ("SELECT max((n - 1) / 2) FROM (SELECT row_number() OVER (ORDER BY x) AS n FROM (VALUES (1), (2), (3), (4)) t(x)) u", 1),
        ("SELECT rank() OVER (ORDER BY x) FROM (VALUES (1)) t(x)", 1),
        ("SELECT array_length(ARRAY[1, 2, 3], 1) / 2", 1),
        ("SELECT array_length('{}'::int[], 1)", None),
        ("SELECT x[array_length(x, 1)] FROM (VALUES (ARRAY['a', 'b'])) t(x)", "b"),
        # arrays of queries
        ("SELECT ARRAY(SELECT suite FROM suites WHERE false)", []),
        ("SELECT ARRAY(SELECT DISTINCT x FROM (VALUES ('a'), ('a')) t(x))", ["a"]),
        ("SELECT ARRAY(SELECT x FROM (VALUES ('b'), ('c'), ('a')) t(x) ORDER BY x LIMIT 2)", ["a", "b"]),
        ("SELECT 3 >= ALL (SELECT x FROM (VALUES (1), (3)) t(x))", True),
        # texts of doubles and times
        ("SELECT 100::float8::text || 1e20::float8::text || 0.00001::float8::text", "1001e+201e-05"),
        ("SELECT time '23:59:59.5'::text", "23:59:59.5"),
        ("SELECT interval '-1 day +2 hours'::text", "-1 days +02:00:00"),
        ("SELECT interval '1 month - 1 day'::text", "1 mon -1 days"),
    ]:
        for binary in (False, True):
            found = one(guest, sql, binary=binary)
            assert found == expected and type(found) is type(expected), (sql, binary, found)
    now = one(guest, "SELECT now()")
    assert now.tzinfo and abs(now - datetime.datetime.now(UTC)) < datetime.timedelta(hours=1), now
    assert one(guest, "SELECT version()").startswith("PostgreSQL 16")
    assert one(guest, "SELECT current_user") == one(guest, "SELECT session_user") == server[1]
    with guest.cursor() as cursor:
        for sql, names in [
            ("SELECT 1, 2, 'x', count(*), 1::bigint, version()", ["?column?", "?column?", "?column?", "count", "int8", "version"]),
            ("SELECT event_id, event_id FROM events LIMIT 1", ["event_id", "event_id"]),
            ("SELECT x.b, *, upper(a) AS a FROM (SELECT 'a' AS a, 'b' AS b) x", ["b", "a", "b", "a"]),
            ("SELECT sum(hit_seq) FROM events GROUP BY row_kind ORDER BY sum(hit_seq)", ["sum"]),
            ("SELECT row_number() OVER (), trim(LEADING 'x' FROM 'xa'), '1'::float8::int, interval '1 day'::text", ["row_number", "ltrim", "int4", "text"]),
        ]:
            cursor.execute(sql)
            assert [column.name for column in cursor.description] == names, (sql, cursor.description)
    refused("42P01", lambda: guest.execute("SELECT * FROM evnts"), "did you mean events?")
    refused("42703", lambda: guest.execute("SELECT evnt_id FROM events"), "did you mean")
    refused("42601", lambda: guest.execute("SELEC 1"))
    refused("42702", lambda: guest.execute("SELECT suite FROM suites a, suites b"), "several tables have a column suite")
    refused("42883", lambda: guest.execute("SELECT lower(1, 2)"), "lower cannot take")
    refused("42883", lambda: guest.execute("SELECT date '2026-01-01' + date '2026-01-02'"))
    refused("22007", lambda: guest.execute("SELECT 'soon'::timestamptz"), "is no time; write one as")
    refused("22008", lambda: guest.execute("SELECT '2026-02-30'::date"), "there is no such day")
    refused("22008", lambda: guest.execute("SELECT 'infinity'::timestamp"), "without an end")
    refused("22P02", lambda: guest.execute("SELECT 'abc'::int"), "is no whole number")
    refused("22P02", lambda: guest.execute("SELECT x::float8 FROM (VALUES ('1'), ('x')) t(x)"), "is no number")
    refused("22003", lambda: guest.execute("SELECT 3000000000::int"), "out of the range")
    refused("22003", lambda: guest.execute("SELECT 9223372036854775807 + 1"), "out of the range")
    refused("22012", lambda: guest.execute("SELECT 1 / 0"), "division by zero")
    refused("22012", lambda: guest.execute("SELECT 1.0 / 0"), "division by zero")
    # doubles, too, where they are computed
    for state, sql in [
        ("22012", "1.0 / x FROM (VALUES (1.0), (0.0)) t(x)"), ("22012", "x % (x - x) FROM (VALUES (1.5)) t(x)"),
        ("22003", "x * 10 FROM (VALUES (1e308)) t(x)"), ("22003", "1e308 * 10"), ("22003", "x * x FROM (VALUES (1e-200)) t(x)"),
        ("2201F", "sqrt(-1)"), ("2201F", "sqrt(x) FROM (VALUES (-1.0)) t(x)"), ("2201E", "ln(0)"), ("2201E", "ln(x) FROM (VALUES (-1.0)) t(x)"),
        ("22003", "exp(1000)"), ("2201F", "power(0.0, -1.0)"), ("2201F", "power(-8.0, 0.5)"), ("22003", "acos(2.0)"), ("22012", "interval '1 day' / 0"),
    ]:
        refused(state, lambda: guest.execute(f"SELECT {sql}"))
    # objects that there are not
    for state, sql, words in [
        ("42P01", "'nope'::regclass", 'relation "nope" does not exist'), ("42P01", "'nope'::regclass::oid", "nope"),
        ("42P01", "('no' || 'pe')::regclass", 'relation "nope" does not exist'), ("42704", "('no' || 'pe')::regtype", 'type "nope"'),
        ("42P01", "1 FROM pg_attribute WHERE attrelid = 'public.nope'::regclass", "nope"), ("42704", "'nope'::regtype", 'type "nope"'),
        ("42883", "'nope'::regproc", 'function "nope"'), ("3F000", "'nope'::regnamespace", 'schema "nope"'), ("42704", "'nope'::regrole", 'role "nope"'),
    ]:
        refused(state, lambda: guest.execute(f"SELECT {sql}"), words)
    refused("53200", lambda: guest.execute("SELECT length(x || x || x) FROM (SELECT repeat('x', n) AS x FROM (VALUES (40000000)) t(n)) u"), "100 MB")
    refused("42803", lambda: guest.execute("SELECT row_kind, count(*) FROM events"), "GROUP BY")
    refused("42803", lambda: guest.execute("SELECT 1 FROM events WHERE count(*) > 1"), "HAVING")
    refused("42P20", lambda: guest.execute("SELECT 1 FROM events WHERE row_number() OVER () = 1"), "window")
    refused("42883", lambda: guest.execute("SELECT nosuch(1)"))


def parameters(*server):
    """Values of every type, in text and in binary, with the driver's types and without."""
    guest = connect(*server)
    day = datetime.date(2026, 9, 1)
    for value in [
        True, 7, 2**40, 0.5, "text", day, datetime.datetime(2026, 9, 1, 12, 30), datetime.datetime(2026, 9, 1, tzinfo=UTC),
        datetime.time(12, 30), datetime.timedelta(days=3, seconds=7), b"\0\xff",
        [1, 2, None], [day],
    ]:
        for form in ("%t", "%b"):
            found = one(guest, f"SELECT {form}", value, binary=form == "%b")
            assert found == value, (form, value, found)
    texts = ["a,b", None, 'say "x"', ""]
    for form in ("%t", "%b"):
        assert one(guest, f"SELECT {form}::text[]", texts) == texts
    assert one(guest, "SELECT '{a,NULL}'::text[]") == ["a", None]
    # the places of a numeric come from where it stands
    for form in ("%t", "%b"):
        assert one(guest, f"SELECT {form} + 1::decimal(10, 2)", decimal.Decimal("-0.05")) == decimal.Decimal("0.95")
    # an operator beside changes nothing of a declared type
    for value, expression, expected in [
        (decimal.Decimal("1.25"), "{}", decimal.Decimal("1.25")), (decimal.Decimal("0.5"), "{} + 1", decimal.Decimal("1.5")),
        (0.5, "{} + 1", 1.5), (day, "{}", day),
        ([decimal.Decimal("1.25"), None], "{}", [decimal.Decimal("1.25"), None]),
        (datetime.datetime(2026, 9, 1, tzinfo=UTC), "date_trunc('month', {})", datetime.datetime(2026, 9, 1, tzinfo=UTC)),
        (None, "{}", None), ("a", "{} || 'b'", "ab"),
    ]:
        for form in ("%t", "%b"):
            for binary in (False, True):
                found = one(guest, "SELECT " + expression.format(form), value, binary=binary)
                assert found == expected and type(found) is type(expected), (form, binary, expression, found)
    typed = guest.execute("SELECT %b, %b, %b, %b", [decimal.Decimal(1), day, datetime.datetime.now(UTC), ["a"]], prepare=True)
    assert [column.type_code for column in typed.description] == [1700, 1082, 1184, 1009], typed.description
    # there is no such type: a text
    given = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    assert {one(guest, f"SELECT {form}", given) for form in ("%t", "%b")} == {str(given)}
    # texts in the places of times
    for value, kind, expected in [
        ("2026-01-31 12:00", "timestamp", datetime.datetime(2026, 1, 31, 12)),
        ("2026-01-31 12:00 +02", "timestamptz", datetime.datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("Jan 31, 2026", "date", day.replace(month=1, day=31)),
        ("04:05 PM", "time", datetime.time(16, 5)),
        ("1 day 02:00", "interval", datetime.timedelta(days=1, hours=2)),
    ]:
        for form in ("%s", "%t", "%b"):
            assert one(guest, f"SELECT {form}::{kind}", value) == expected, (form, kind, value)
    # the server has the tests' clock
    assert one(guest, "SELECT %s::date", "today") == datetime.date(2026, 10, 1)
    kinds = [row[0] for row in guest.execute("SELECT DISTINCT row_kind FROM events ORDER BY 1")]
    count = one(guest, "SELECT count(*) FROM events")
    for form in ("%t", "%b"):
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind = ANY({form})", kinds) == count > 0
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind = ANY({form})", ["no such"]) == 0
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind <> ALL({form})", kinds[:1]) < count
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind = ANY({form}::text[])", kinds[:1]) < count
        assert len(guest.execute(f"SELECT 1 FROM events LIMIT {form} OFFSET {form}", [3, 1], prepare=True).fetchall()) == 3
    # what rows a table function gives hangs on its arguments
    report = "SELECT item, credit FROM participation({}, {}, since => {}) WHERE credit > {} ORDER BY credit DESC, item"
    values = ["orders", "tracking_code", "2020-01-01", 0.5]
    wanted = guest.execute(report.format("'orders'", "'tracking_code'", "'2020-01-01'", "0.5")).fetchall()
    assert wanted
    for form in ("%t", "%b"):
        assert guest.execute(report.format(form, form, form, form), values, prepare=True).fetchall() == wanted
    assert guest.execute("SELECT value FROM range(%b, %b)", [2, 5], prepare=True).fetchall() == [(2,), (3,), (4,)]
    assert len(guest.execute("SELECT * FROM funnel(%b)", [["orders > 0", "revenue > 0"]], prepare=True).fetchall()) == 2
    refused("42000", lambda: guest.execute("SELECT * FROM participation($1, $2)"), "$1 has no value")
    refused("42000", lambda: guest.execute("SELECT * FROM participation('orders', 'page_name', by => %b)", ["day"], prepare=True), "write it as a text")
    refused("42000", lambda: guest.execute("SELECT * FROM participation(%b, 'page_name')", ["ordrs"], prepare=True), "did you mean orders?")
    guest.execute("PREPARE asked AS SELECT count(*) FROM participation($1, $2)")
    assert one(guest, "EXECUTE asked('orders', 'tracking_code')") >= len(wanted)
    asyncio.run(by_asyncpg(kinds, count, *server))


async def by_asyncpg(kinds, count, port, user, password):
    """asyncpg leaves types to the server, asks the catalog for those that it does not know, and speaks binary only."""
    import asyncpg

    pool = await asyncpg.create_pool(host="127.0.0.1", port=port, user=user, password=password, database="rejoin", ssl=False, min_size=1, max_size=1)
    async with pool.acquire() as guest:
        assert await guest.fetchval("SELECT count(*) FROM events WHERE row_kind = ANY($1)", kinds) == count
        assert len(await guest.fetch("SELECT event_id FROM events LIMIT $1", 2)) == 2
        async with guest.transaction():
            assert await guest.fetchval("SELECT $1::int + 1", 6) == 7
            found = [row["n"] async for row in guest.cursor("SELECT value AS n FROM range(1, 101)", prefetch=7)]
            assert found == list(range(1, 101))
        assert await guest.fetchval("SELECT count(*) FROM participation($1, $2)", "orders", "tracking_code") > 0
        # types that it does not know it asks the catalog for
        noon = datetime.datetime(2026, 9, 1, 12)
        for name, oid, values in [
            ("int", 1007, [1, None, 2]), ("bigint", 1016, [1]), ("smallint", 1005, [1]), ("float8", 1022, [1.5]), ("bool", 1000, [True, False]),
            ("date", 1182, [noon.date()]), ("timestamp", 1115, [noon]), ("timestamptz", 1185, [noon.replace(tzinfo=UTC)]), ("text", 1009, ["a"]),
            ("numeric", 1231, [decimal.Decimal("1.5"), decimal.Decimal("2.25")]), ("uuid", 2951, [uuid.UUID(int=7)]), ("varchar", 1015, ["a", None]),
        ]:
            prepared = await guest.prepare(f"SELECT count(*) FROM unnest($1::{name}[]) AS u")
            assert [parameter.oid for parameter in prepared.get_parameters()] == [oid], name
            assert await prepared.fetchval(values) == len(values), name
        assert await guest.fetchval("SELECT count(*) FROM generate_series(1, 5) n WHERE n = ANY($1::int[])", [1, 2, 9]) == 2
        assert await guest.fetchval("SELECT $1::uuid", uuid.UUID(int=7)) == str(uuid.UUID(int=7))
    # what a pool says when a connection comes back: RESET ALL, CLOSE ALL, UNLISTEN *, pg_advisory_unlock_all()
    async with pool.acquire() as guest:
        assert await guest.fetchval("SELECT 1") == 1
    await pool.close()


def settings(*server):
    """What is set holds, ends where it should, and what cannot be served is refused."""
    guest = connect(*server)
    suite = one(guest, "SELECT suite FROM suites")
    slow = "SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3"
    for reset in ("DISCARD ALL", "RESET ALL"):
        guest.execute(f"SET rejoin.suite = '{suite}'; SET statement_timeout = '200ms'; SET application_name = 'mine'")
        assert one(guest, "SHOW rejoin.suite") == suite and one(guest, "SHOW statement_timeout") == "200ms"
        assert one(guest, "SELECT current_setting('application_name')") == "mine"
        assert one(guest, "SELECT setting FROM pg_settings WHERE name = 'application_name'") == "mine"
        assert guest.info.parameter_status("application_name") == "mine"
        refused("57014", lambda: guest.execute(slow), "200ms")
        guest.execute(reset)
        assert one(guest, "SHOW rejoin.suite") == "" and one(guest, "SHOW statement_timeout") == "0", reset
        assert one(guest, "SHOW application_name") == ""
    guest.execute("SET rejoin.suite = %s" % f"'{suite}'")
    guest.execute("RESET rejoin.suite")
    assert one(guest, "SHOW rejoin.suite") == ""
    # a transaction's own
    with guest.transaction():
        guest.execute("SET LOCAL statement_timeout = '1h'")
        guest.execute("SET application_name = 'kept'")
    assert (one(guest, "SHOW statement_timeout"), one(guest, "SHOW application_name")) == ("0", "kept")
    guest.execute(f"BEGIN; SET rejoin.suite = '{suite}'; SET application_name = 'lost'; ROLLBACK")
    assert (one(guest, "SHOW rejoin.suite"), one(guest, "SHOW application_name")) == ("", "kept")
    refused("55000", lambda: guest.execute("SET rejoin.suite = 'nosuch'"), "does not exist")
    refused("22023", lambda: guest.execute("SET client_encoding = 'LATIN1'"), "UTF8")
    refused("42704", lambda: guest.execute("SET statment_timeout = 1"), "did you mean")
    refused("42704", lambda: guest.execute("SELECT current_setting('statment_timeout')"), "did you mean")
    assert one(guest, "SELECT current_setting('nosuch', true)") is None
    # asyncpg switches it off while it looks for types
    assert one(guest, "SELECT current_setting('jit') || set_config('jit', 'off', false)") == "offoff"
    assert one(guest, "SELECT set_config('statement_timeout', '150ms', false)") == "150ms"
    refused("57014", lambda: guest.execute(slow), "150ms")
    # the start of a connection
    other = connect(*server, options=f"-c statement_timeout=250ms -c rejoin.suite={suite} --search-path=public")
    assert [one(other, f"SHOW {name}") for name in ("statement_timeout", "rejoin.suite", "search_path")] == ["250ms", suite, "public"]
    refused("57014", lambda: other.execute(slow), "250ms")
    other.execute("SET statement_timeout = 0; SET rejoin.suite = ''")
    other.execute("DISCARD ALL")
    assert [one(other, f"SHOW {name}") for name in ("statement_timeout", "rejoin.suite")] == ["250ms", suite]
    refused("22023", lambda: connect(*server, client_encoding="LATIN1"), "client_encoding")
    refused("42704", lambda: connect(*server, options="-c nosuch=1"), "nosuch")
    # a prepared statement ends with DISCARD
    raw = guest.pgconn
    raw.prepare(b"mine", b"SELECT 1")
    guest.execute("DISCARD ALL")
    state = raw.exec_prepared(b"mine", None).error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    assert state == b"26000", state


def transactions(*server):
    """After an error nothing runs until the transaction ends."""
    guest = connect(*server)
    status = psycopg.pq.TransactionStatus
    guest.execute("BEGIN")
    refused("42703", lambda: guest.execute("SELECT nothing"))
    assert guest.info.transaction_status == status.INERROR
    refused("25P02", lambda: guest.execute("SELECT 1"))
    refused("25P02", lambda: guest.execute("SELECT %s", [1], prepare=True))
    refused("25P02", lambda: guest.execute("SET application_name = 'x'"))
    assert guest.execute("COMMIT").statusmessage == "ROLLBACK"
    assert guest.info.transaction_status == status.IDLE
    assert one(guest, "SELECT 1") == 1
    with guest.transaction():
        try:
            with guest.transaction():
                guest.execute("SELECT nothing")
        except psycopg.errors.UndefinedColumn:
            pass
        # the savepoint is gone back to
        assert one(guest, "SELECT 2") == 2
    # what a savepoint goes back from has no cursors any more
    guest.execute("BEGIN; DECLARE a CURSOR FOR SELECT 1; SAVEPOINT s; DECLARE b CURSOR FOR SELECT 2; SAVEPOINT t")
    guest.execute("ROLLBACK TO S")
    assert guest.execute("FETCH a").fetchall() == [(1,)]
    refused("34000", lambda: guest.execute("FETCH b"))
    assert guest.execute("ROLLBACK TO SAVEPOINT s").statusmessage == "ROLLBACK"
    refused("3B001", lambda: guest.execute("RELEASE t"), "does not exist")
    guest.execute("ROLLBACK TO s; RELEASE s")
    refused("3B001", lambda: guest.execute("ROLLBACK TO s"))
    guest.execute("ROLLBACK")
    refused("25P01", lambda: guest.execute("SAVEPOINT s"))
    # nor its settings
    guest.execute("BEGIN; SET application_name = 'a'; SAVEPOINT s; SET application_name = 'b'; SAVEPOINT t; SET LOCAL application_name = 'c'")
    for sql, name in [("ROLLBACK TO t", "b"), ("SET application_name = 'd'", "d"), ("RELEASE t", "d"), ("ROLLBACK TO s", "a"), ("SET application_name = 'e'; RELEASE s", "e")]:
        guest.execute(sql)
        assert one(guest, "SHOW application_name") == name, sql
    guest.execute("COMMIT")
    assert one(guest, "SHOW application_name") == "e"
    guest.execute("RESET application_name")
    refused("42703", lambda: guest.execute("BEGIN; SELECT nothing; SELECT 1"))
    assert guest.info.transaction_status == status.INERROR
    guest.execute("ROLLBACK")
    guest.execute("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE")
    assert guest.info.transaction_status == status.INTRANS
    guest.execute("ROLLBACK")
    for sql, tag in [
        ("UNLISTEN *", "UNLISTEN"), ("CLOSE ALL", "CLOSE CURSOR ALL"), ("DISCARD TEMP", "DISCARD TEMP"),
        ("SET SESSION AUTHORIZATION DEFAULT", "SET"), ("DEALLOCATE ALL", "DEALLOCATE ALL"), ("ABORT", "ROLLBACK"),
    ]:
        assert guest.execute(sql).statusmessage == tag, sql
    assert one(guest, "SELECT pg_advisory_unlock_all()") == ""


def streams(*server):
    """COPY, cursors, prepared statements of SQL."""
    guest = connect(*server)
    # rows of a prepared statement come as they are computed, and none of them waits for the last one
    with guest.cursor() as cursor, contextlib.closing(cursor.stream("SELECT value FROM range(1, %b)", [300_000_000_000])) as rows:
        assert next(rows) == (1,) and next(rows) == (2,)
    assert one(guest, "SELECT 1") == 1
    query = "SELECT event_id, row_kind, hit_time FROM events ORDER BY event_id"
    rows = guest.execute(query).fetchall()
    with guest.cursor() as cursor:
        with cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
            copied = list(copy.rows())
        assert [row[:2] for row in copied] == [row[:2] for row in rows] and cursor.rowcount == len(rows)
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["text", "text", "timestamptz"])
            assert list(copy.rows()) == rows
        with cursor.copy("COPY (SELECT 'a,b' AS x, NULL AS y) TO STDOUT (FORMAT csv, HEADER)") as copy:
            assert b"".join(bytes(piece) for piece in copy) == b'x,y\n"a,b",\n'
        with cursor.copy("COPY suites (suite) TO STDOUT") as copy:
            assert len(list(copy.rows())) == 1
        def late():
            with cursor.copy("COPY (SELECT value FROM range(1, 300000000000)) TO STDOUT") as copy:
                for _ in copy:
                    pass
        guest.execute("SET statement_timeout = '300ms'")
        refused("57014", late)
        guest.execute("RESET statement_timeout")
    refused("0A000", lambda: guest.execute("COPY suites FROM STDIN"))
    for binary in (False, True):
        with guest.transaction(), guest.cursor(binary=binary) as cursor:
            cursor.execute(f"DECLARE mine CURSOR FOR {query}")
            fetched = []
            while part := cursor.execute("FETCH FORWARD 100 FROM mine").fetchall():
                assert len(part) <= 100
                fetched += part
            assert fetched == rows
    guest.execute("DECLARE held CURSOR WITH HOLD FOR SELECT value FROM range(1, 11)")
    assert guest.execute("FETCH 4 FROM held").fetchall() == [(1,), (2,), (3,), (4,)]
    assert len(guest.execute("FETCH ALL FROM held").fetchall()) == 6
    guest.execute("CLOSE held")
    # a FETCH is in memory, so it takes no more than fits
    guest.execute("DECLARE large CURSOR WITH HOLD FOR SELECT value FROM range(1, 100000000)")
    assert len(guest.execute("FETCH 10000 FROM large").fetchall()) == 10_000
    refused("54000", lambda: guest.execute("FETCH ALL FROM large"), "fetch some at a time")
    guest.execute("CLOSE large")
    guest.execute("DECLARE c CURSOR WITH HOLD FOR SELECT value FROM range(1, 11)")
    for sql, expected in [("FETCH c", [1]), ("FETCH NEXT c", [2]), ("FETCH 2 c", [3, 4]), ("FETCH FORWARD c", [5]), ("FETCH FORWARD 2 IN c", [6, 7])]:
        assert [row[0] for row in guest.execute(sql).fetchall()] == expected, sql
    assert guest.execute("MOVE c").statusmessage == "MOVE 1"
    assert guest.execute("FETCH ALL c").fetchall() == [(9,), (10,)]
    guest.execute("CLOSE c")
    refused("25P01", lambda: guest.execute("DECLARE c CURSOR FOR SELECT 1"))
    refused("34000", lambda: guest.execute("FETCH 1 FROM c"))
    guest.execute("BEGIN; DECLARE c CURSOR FOR SELECT 1; COMMIT")
    refused("34000", lambda: guest.execute("FETCH 1 FROM c"))
    guest.execute("PREPARE q(text, bigint) AS SELECT count(*) FROM events WHERE row_kind = $1 AND hit_seq > $2")
    online = sum(row[1] == "online" for row in rows)
    assert one(guest, "EXECUTE q('online', 0)") == online > 0
    refused("42P05", lambda: guest.execute("PREPARE q AS SELECT 1"))
    guest.execute("DEALLOCATE q")
    refused("26000", lambda: guest.execute("EXECUTE q('online', 0)"))


def cursors(port, user, password):
    """Named cursors of drivers, which describe and fetch what SQL has declared."""
    import psycopg2
    import psycopg2.extensions

    query = "SELECT event_id, row_kind, hit_time, hit_seq FROM events ORDER BY event_id"
    guest = connect(port, user, password)
    rows = guest.execute(query).fetchall()
    for binary in (False, True):
        with guest.transaction(), guest.cursor("mine", binary=binary) as cursor:
            cursor.itersize = 70
            cursor.execute(query)
            assert [column.name for column in cursor.description] == ["event_id", "row_kind", "hit_time", "hit_seq"]
            assert [column.type_code for column in cursor.description] == [25, 25, 1184, 1700]
            assert cursor.fetchone() == rows[0] and cursor.fetchmany(3) == rows[1:4] and list(cursor) == rows[4:]
        with guest.transaction(), guest.cursor("some") as cursor:
            cursor.execute("SELECT value FROM range(%b, %t) WHERE value > %s", [1, 11, 4], binary=binary)
            assert cursor.fetchall() == [(n,) for n in range(5, 11)]
    with guest.transaction(), guest.cursor("moving") as cursor:
        cursor.execute("SELECT value FROM range(1, 101)")
        cursor.scroll(10)
        assert cursor.fetchone() == (11,)
        cursor.scroll(50, mode="absolute")
        assert cursor.fetchone() == (51,)
        refused("55000", lambda: cursor.scroll(3, mode="absolute"), "forward")
        # the failed transaction is over
        raise psycopg.Rollback()
    cursor = guest.cursor("held", withhold=True, scrollable=False)
    cursor.execute("SELECT value FROM range(1, 11)")
    assert cursor.fetchmany(4) == [(1,), (2,), (3,), (4,)]
    listed = guest.execute("SELECT name, is_holdable, is_binary, is_scrollable FROM pg_cursors").fetchall()
    assert listed == [("held", True, False, False)], listed
    # a cursor that somebody else declared
    with guest.cursor("held", withhold=True) as same:
        assert same.fetchall() == [(n,) for n in range(5, 11)]
    assert guest.execute("SELECT * FROM pg_cursors").fetchall() == []
    with guest.transaction(), guest.cursor("back", scrollable=True) as cursor:
        refused("0A000", lambda: cursor.execute(query), "SCROLL", "leave it out")
        raise psycopg.Rollback()
    # by name through the protocol
    with guest.transaction():
        guest.execute("DECLARE raw BINARY CURSOR FOR SELECT value, 'x' AS x FROM range(1, 4)")
        described = guest.pgconn.describe_portal(b"raw")
        assert [described.fname(i) for i in range(described.nfields)] == [b"value", b"x"]
        fetched = guest.pgconn.exec_(b"FETCH 1 FROM raw")
        assert (fetched.fformat(0), fetched.get_value(0, 0)) == (1, (1).to_bytes(8, "big")), fetched.get_value(0, 0)
        one_more = guest.pgconn.exec_params(b"FETCH RELATIVE 2 FROM raw", [], result_format=0)
        assert one_more.get_value(0, 0) == b"3" and one_more.command_status == b"FETCH 1"
        missing = guest.pgconn.describe_portal(b"nosuch").error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        assert missing == b"34000", missing
        raise psycopg.Rollback()
    other = psycopg2.connect(host="127.0.0.1", port=port, user=user, password=password, dbname="rejoin")
    with other, other.cursor("mine") as cursor:
        cursor.itersize = 70
        cursor.execute(query)
        found = [tuple(row) for row in cursor]
        assert [row[:2] for row in found] == [row[:2] for row in rows] and found[0][2] == rows[0][2]
    with other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events WHERE row_kind = ANY(%s) AND hit_time < %s", (["online"], datetime.datetime.now(UTC)))
        assert cursor.fetchone()[0] > 0
        with open("/dev/null", "w") as nowhere:
            cursor.copy_expert("COPY (SELECT 1) TO STDOUT", nowhere)
    other.close()


# Zone, statement, and what PostgreSQL 15 answers.
ZONED = [
    ('Europe/Berlin', "SELECT timestamptz '2026-07-01 12:00:00'", '2026-07-01 12:00:00+02'),
    ('Europe/Berlin', "SELECT timestamptz '2026-01-15 12:00:00.25'", '2026-01-15 12:00:00.25+01'),
    ('Europe/Berlin', "SELECT timestamptz '2026-07-01 12:00:00+00'", '2026-07-01 14:00:00+02'),
    ('Europe/Berlin', "SELECT '2026-07-01 23:30:00Z'::timestamptz::date", '2026-07-02'),
    ('Europe/Berlin', "SELECT timestamptz '2026-07-01 23:30:00Z'::timestamp", '2026-07-02 01:30:00'),
    ('Europe/Berlin', "SELECT timestamp '2026-07-01 12:00:00'::timestamptz", '2026-07-01 12:00:00+02'),
    ('Europe/Berlin', "SELECT date '2026-07-01'::timestamptz", '2026-07-01 00:00:00+02'),
    ('Europe/Berlin', "SELECT date_trunc('day', timestamptz '2026-07-01 23:30:00Z')", '2026-07-02 00:00:00+02'),
    ('Europe/Berlin', "SELECT date_trunc('month', timestamptz '2026-10-31 23:30:00Z')", '2026-11-01 00:00:00+01'),
    ('Europe/Berlin', "SELECT date_trunc('hour', timestamptz '2026-10-25 01:30:00Z')", '2026-10-25 02:00:00+01'),
    ('Europe/Berlin', "SELECT extract(hour FROM timestamptz '2026-07-01 23:30:00Z')", '1'),
    ('Europe/Berlin', "SELECT extract(day FROM timestamptz '2026-07-01 23:30:00Z')", '2'),
    ('Europe/Berlin', "SELECT to_char(timestamptz '2026-07-01 23:30:00Z', 'YYYY-MM-DD HH24:MI TZ OF')", '2026-07-02 01:30 CEST +02'),
    ('Europe/Berlin', "SELECT timestamptz '2026-07-01 12:00:00' AT TIME ZONE 'Asia/Tokyo'", '2026-07-01 19:00:00'),
    ('Europe/Berlin', "SELECT timestamp '2026-07-01 12:00:00' AT TIME ZONE 'Asia/Tokyo'", '2026-07-01 05:00:00+02'),
    ('Europe/Berlin', "SELECT date_trunc('day', timestamp '2026-07-01 12:00:00' AT TIME ZONE 'Asia/Tokyo')", '2026-07-01 00:00:00+02'),
    ('Europe/Berlin', "SELECT timestamptz '2026-03-28 12:00:00' + interval '1 day'", '2026-03-29 12:00:00+02'),
    ('Europe/Berlin', "SELECT timestamptz '2026-03-28 12:00:00' + interval '24 hours'", '2026-03-29 13:00:00+02'),
    ('Europe/Berlin', "SELECT timestamptz '2026-07-01 23:30:00Z' >= date '2026-07-02'", 't'),
    ('Europe/Berlin', "SELECT timestamptz '2026-06-30 22:00:00Z' = date '2026-07-01'", 't'),
    ('Europe/Berlin', "SELECT timestamptz '2026-06-30 22:00:00Z' = timestamp '2026-07-01 00:00:00'", 't'),
    ('Europe/Berlin', "SELECT timestamptz '2026-06-30 22:00:00Z' BETWEEN '2026-07-01' AND '2026-07-01 00:00:01'", 't'),
    ('Europe/Berlin', "SELECT timestamptz '2026-06-30 22:00:00Z' IN ('2026-07-01')", 't'),
    ('Europe/Berlin', "SELECT ARRAY[timestamptz '2026-07-01 12:00:00Z', NULL]", '{"2026-07-01 14:00:00+02",NULL}'),
    ('Europe/Berlin', "SELECT max(t) FROM (VALUES (timestamptz '2026-07-01 12:00:00Z'), (timestamptz '2026-01-01 12:00:00Z')) x(t)", '2026-07-01 14:00:00+02'),
    ('Europe/Berlin', "SELECT count(*) FROM (SELECT timestamptz '2026-06-30 23:00:00Z' AS t UNION ALL SELECT timestamptz '2026-07-01 21:00:00Z') x GROUP BY t::date", '2'),
    ('Europe/Berlin', "SELECT count(*) FROM (SELECT timestamptz '2026-06-30 23:00:00Z' AS t) x GROUP BY ROLLUP (t::text) LIMIT 1", '1'),
    ('America/New_York', "SELECT timestamptz '2026-07-01 02:00:00Z'::date", '2026-06-30'),
    ('America/New_York', "SELECT timestamptz '1883-01-01 12:00:00'", '1883-01-01 12:00:00-04:56:02'),
    ('Asia/Kolkata', "SELECT date_trunc('hour', timestamptz '2026-07-01 12:00:00Z')", '2026-07-01 17:00:00+05:30'),
    ('America/Sao_Paulo', "SELECT to_char(timestamptz '2026-07-01 12:00:00Z', 'HH24 TZ')", '09 -03'),
    ('UTC', "SELECT to_char(timestamptz '2026-07-01 12:00:00Z', 'HH24 TZ tz OF')", '12 UTC utc +00'),
    ('Europe/Berlin', "SELECT timestamptz '2026-07-01 12:00'", '2026-07-01 12:00:00+02'),
    ('Europe/Berlin', "SELECT timestamptz 'Jul 1, 2026 12:00 CET'", '2026-07-01 13:00:00+02'),
    ('Europe/Berlin', "SELECT '2026-07-01 12:00:00+00'::timestamp", '2026-07-01 12:00:00'),
    ('Europe/Berlin', "SELECT timestamptz '2026-06-30 22:00Z' = '2026-07-01 00:00'", 't'),
    ('Europe/Berlin', "SELECT x::timestamptz FROM (VALUES ('20260701 1200')) v(x)", '2026-07-01 12:00:00+02'),
    ('Europe/Berlin', "SELECT to_timestamp(1769860800)", '2026-01-31 13:00:00+01'),
    ('Europe/Berlin', "SELECT to_timestamp(x) FROM (VALUES (1769860800)) v(x)", '2026-01-31 13:00:00+01'),
    ('UTC', "SELECT timestamptz '2026-07-01 12:00:00Z' AT TIME ZONE '+05:30'", '2026-07-01 06:30:00'),
    ('UTC', "SELECT timestamptz '2026-07-01 12:00:00Z' AT TIME ZONE '<+0530>-5:30'", '2026-07-01 17:30:00'),
    ('UTC', "SELECT timestamptz '2026-07-01 12:00:00Z' AT TIME ZONE INTERVAL '+05:30'", '2026-07-01 17:30:00'),
    ('UTC', "SELECT timestamp '2026-07-01 12:00:00' AT TIME ZONE INTERVAL '-03:30'", '2026-07-01 15:30:00+00'),
    ('<+05:30>-05:30', "SELECT timestamptz '2026-07-01 12:00'", '2026-07-01 12:00:00+05:30'),
    ('<+05:30>-05:30', "SELECT date_trunc('hour', timestamptz '2026-07-01 12:00:00Z')", '2026-07-01 17:00:00+05:30'),
    ('<+05:30>-05:30', "SELECT to_char(timestamptz '2026-07-01 12:00:00Z', 'HH24:MI TZ OF')", '17:30 +05:30 +05:30'),
    ('<+05:30>-05:30', "SELECT make_timestamptz(2026, 7, 1, 12, 0, 0)", '2026-07-01 12:00:00+05:30'),
    ('<+05:30>-05:30', "SELECT timestamptz '2026-07-01 23:30:00Z'::date", '2026-07-02'),
    ('<+05:30>-05:30', "SELECT timestamptz '2026-07-01 12:00:00Z'::text", '2026-07-01 17:30:00+05:30'),
    ('Europe/Berlin', "SELECT 'now'::timestamptz = now() AND 'today'::timestamptz = date_trunc('day', now())", 't'),
]


def zones(port, user, password):
    """Times and days are those of the session's zone, in every way to ask for them."""
    import os
    import subprocess
    import zoneinfo

    guest = connect(port, user, password)

    def text(sql):
        result = guest.pgconn.exec_(sql.encode())
        assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, (sql, result.error_message)
        return result.get_value(0, 0).decode()

    for zone, sql, expected in ZONED:
        guest.execute(f"SET TIME ZONE '{zone}'")
        assert text("SHOW TimeZone") == zone and guest.info.parameter_status("TimeZone") == zone
        assert text(sql) == expected, (zone, sql, text(sql), expected)
    everything = (
        "SELECT hit_time, hit_time::date, hit_time::timestamp, date_trunc('day', hit_time), extract(hour FROM hit_time)::int,"
        " to_char(hit_time, 'YYYY-MM-DD HH24:MI:SS'), hit_time AT TIME ZONE 'Asia/Tokyo', event_id FROM {} ORDER BY event_id LIMIT 400"
    )
    days = {}
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "UTC"):
        guest.execute(f"SET TIME ZONE '{zone}'")
        clock = zoneinfo.ZoneInfo(zone)
        for table in ("events", "(SELECT * FROM hits UNION ALL SELECT * FROM hits) h", "(SELECT hit_time, event_id FROM events WHERE hit_time > (SELECT min(hit_time) FROM hits)) e"):
            for binary in (False, True):
                with guest.cursor(binary=binary) as cursor:
                    rows = cursor.execute(everything.format(table).replace("event_id", "visitor_id" if "UNION" in table else "event_id"), prepare=binary).fetchall()
                assert rows
                for at, day, shown, begins, hour, written, tokyo, _ in rows:
                    local = at.astimezone(clock)
                    assert local.utcoffset() == at.utcoffset(), (zone, at)
                    naive = local.replace(tzinfo=None)
                    assert (day, shown, hour) == (naive.date(), naive, naive.hour), (zone, at, day, shown, hour)
                    assert begins.astimezone(clock).replace(tzinfo=None) == datetime.datetime.combine(naive.date(), datetime.time()), (zone, at, begins)
                    assert written == naive.strftime("%Y-%m-%d %H:%M:%S")
                    assert tokyo == at.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo")).replace(tzinfo=None)
        times = [row[0] for row in guest.execute("SELECT hit_time FROM events WHERE hit_time IS NOT NULL")]
        day = sorted(at.astimezone(clock).date() for at in times)[len(times) // 2]
        after = sum(at.astimezone(clock).date() >= day for at in times)
        for condition in [
            f"hit_time >= '{day}'", f"hit_time >= date '{day}'", f"hit_time >= timestamp '{day} 00:00:00'", f"hit_time::date >= '{day}'",
            f"hit_time >= timestamptz '{day}'", f"date_trunc('day', hit_time) >= '{day}'", f"NOT hit_time < '{day}'::timestamptz",
        ]:
            found = one(guest, f"SELECT count(*) FROM events WHERE {condition}")
            assert found == after, (zone, condition, found, after)
        for value in (str(day), day, datetime.datetime.combine(day, datetime.time()), datetime.datetime.combine(day, datetime.time(), clock)):
            for form in ("%t", "%b"):
                found = one(guest, f"SELECT count(*) FROM events WHERE hit_time >= {form}", value)
                assert found == after, (zone, value, form, found, after)
        days[zone] = dict(guest.execute("SELECT hit_time::date, count(*) FROM events GROUP BY 1").fetchall())
        assert days[zone].get(day) == sum(at.astimezone(clock).date() == day for at in times)
        # a condition in an argument is one of the statement
        by_condition = one(guest, "SELECT sum(conversions) FROM paths('orders', 'tracking_code', conversions => %t)", f"hit_time >= ''{day}''".replace("''", "'"))
        by_filter = one(guest, f"SELECT count(*) FROM events WHERE orders > 0 AND visitor_id IS NOT NULL AND hit_time >= '{day}'")
        assert by_condition is None or by_condition <= by_filter
        # what the suite's own zone says, it says to everybody
        days[zone, "suite"] = guest.execute("SELECT local_time(hit_time)::date, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
        days[zone, "report"] = guest.execute("SELECT item, credit FROM participation('orders', 'tracking_code', since => '2020-01-01') ORDER BY 1").fetchall()
        for sql in ("SELECT now()", "SELECT current_timestamp"):
            now = one(guest, sql)
            assert abs(now - datetime.datetime.now(UTC)) < datetime.timedelta(minutes=5) and now.utcoffset() == now.astimezone(clock).utcoffset()
        today = one(guest, "SELECT current_date")
        assert abs(today - datetime.datetime.now(clock).date()) <= datetime.timedelta(days=1)
        with guest.cursor() as cursor, cursor.copy("COPY (SELECT timestamptz '2026-07-01 12:00:00Z' AS t) TO STDOUT") as copy:
            (line,) = copy.rows()
            assert datetime.datetime.fromisoformat(line[0]) == datetime.datetime(2026, 7, 1, 12, tzinfo=UTC) and line[0][11:13] == f"{datetime.datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(clock).hour:02}"
    assert days["Pacific/Auckland"] != days["UTC"]
    for what in ("suite", "report"):
        assert len({str(found) for key, found in days.items() if what in key}) == 1, what
    assert guest.execute("SELECT abbrev, utc_offset, is_dst FROM pg_timezone_names WHERE name = 'Asia/Kolkata'").fetchall() == [("IST", "05:30:00", False)]
    # a setting like others
    guest.execute("SET TIME ZONE 'Asia/Tokyo'")
    guest.execute("BEGIN; SET LOCAL timezone = 'America/New_York'")
    assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == "2026-07-01 08:00:00-04"
    guest.execute("ROLLBACK")
    assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == "2026-07-01 21:00:00+09" and guest.info.parameter_status("TimeZone") == "Asia/Tokyo"
    guest.execute("DISCARD ALL")
    assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == "2026-07-01 12:00:00+00" and guest.info.parameter_status("TimeZone") == "UTC"
    assert one(guest, "SELECT set_config('TimeZone', 'europe/berlin', false)") == "Europe/Berlin"
    assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == "2026-07-01 14:00:00+02"
    for sql, shown in [("SET TIME ZONE 2", "14:00:00+02"), ("SET TIME ZONE -3", "09:00:00-03"), ("SET TIME ZONE LOCAL", "12:00:00+00"), ("SET datafusion.execution.time_zone = 'Asia/Tokyo'", "21:00:00+09"), ("RESET timezone", "12:00:00+00")]:
        guest.execute(sql)
        assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == f"2026-07-01 {shown}", sql
    refused("22023", lambda: guest.execute("SET TIME ZONE 'Europe/Berln'"), "did you mean Europe/Berlin?")
    # as Sequelize says it, and as POSIX does, which counts the other way
    for sql, shown in [("SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE", "12:00:00+00"), ("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", "14:00:00+02"),
                       ("SET TIME ZONE INTERVAL '-8 hours'", "04:00:00-08"), ("SET TIME ZONE 'UTC+2'", "10:00:00-02"), ("SET TIME ZONE '<+02>-02'", "14:00:00+02"),
                       ("SET client_min_messages TO warning; SET SESSION TIME ZONE '-02:00'", "14:00:00+02"), ("SET TIME ZONE DEFAULT", "12:00:00+00")]:
        guest.execute(sql)
        assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == f"2026-07-01 {shown}", sql
    refused("22023", lambda: guest.execute("SET TIME ZONE INTERVAL '1 day'"), "hours and minutes")
    # parts of hours
    for sql, shown in [("SET TIME ZONE 5.5", "17:30:00+05:30"), ("SET TIME ZONE INTERVAL '+05:30' HOUR TO MINUTE", "17:30:00+05:30"), ("SET TIME ZONE '+05:30'", "06:30:00-05:30"),
                       ("SET TIME ZONE '<+0530>-5:30'", "17:30:00+05:30"), ("SET TIME ZONE -3.75", "08:15:00-03:45")]:
        guest.execute(sql)
        assert text("SELECT timestamptz '2026-07-01 12:00:00Z'") == f"2026-07-01 {shown}", sql
    assert one(guest, "SHOW TimeZone") == guest.info.parameter_status("TimeZone") == "<-03:45>+03:45"
    refused("22023", lambda: guest.execute("SET TIME ZONE 25"), "24 hours")
    refused("22023", lambda: guest.execute("SELECT now() AT TIME ZONE INTERVAL '1 month'"), "hours and minutes")
    for sql in ["now() AT TIME ZONE 'nosuch'", "date_trunc('day', now(), 'nosuch')", "make_timestamptz(2026, 7, 1, 12, 0, 0, '2')"]:
        refused("22023", lambda: guest.execute(f"SELECT {sql}"), "no time zone")
    # a time that a clock does not show, or shows twice
    guest.execute("SET TIME ZONE 'Europe/Berlin'")
    refused("22008", lambda: guest.execute("SELECT timestamptz '2026-03-29 02:30:00'"))
    # the start of a connection
    other = connect(port, user, password, options="-c timezone=Asia/Kolkata")
    assert one(other, "SELECT timestamptz '2026-07-01 00:00:00'").astimezone(UTC) == datetime.datetime(2026, 6, 30, 18, 30, tzinfo=UTC)
    other.execute("SET TIME ZONE 'UTC'")
    other.execute("RESET ALL")
    assert one(other, "SHOW timezone") == "Asia/Kolkata"
    told = subprocess.run(
        ["psql", "-X", "-h", "127.0.0.1", "-p", port, "-U", user, "-d", "rejoin", "-Atc", "SELECT timestamptz '2026-07-01 12:00:00Z'"],
        env=os.environ | {"PGPASSWORD": password, "PGTZ": "America/New_York"}, capture_output=True, text=True, check=True,
    )
    assert told.stdout == "2026-07-01 08:00:00-04\n", told


def catalogs(*server):
    """Tables are listed with numbers that last, columns with types that clients know."""
    oids = []
    for _ in range(3):
        guest = connect(*server)
        oids.append(dict(guest.execute("SELECT relname, oid FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchall()))
    assert oids[0] == oids[1] == oids[2]
    # lookup tables and tables of one's own, whatever was asked before
    assert {"events", "hits", "suites", "browser"} <= set(oids[0]), sorted(oids[0])
    assert one(guest, "SELECT 'events'::regclass::oid") == oids[0]["events"]
    assert one(guest, "SELECT oid::regclass::text FROM pg_class WHERE relname = 'events'") == "events"
    columns = guest.execute(
        "SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), t.typname FROM pg_attribute a"
        " JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = 'suites'::regclass ORDER BY attnum"
    ).fetchall()
    listed = guest.execute(
        "SELECT column_name, ordinal_position, data_type, udt_name FROM information_schema.columns"
        " WHERE table_name = 'suites' ORDER BY ordinal_position"
    ).fetchall()
    assert columns == listed and columns[0][:2] == ("suite", 1), (columns, listed)
    with guest.cursor() as cursor:
        types = {row[0]: row[1:] for row in cursor.execute("SELECT typname, oid, typreceive, typelem FROM pg_type")}
        assert [column.type_code for column in cursor.description] == [25, 26, 24, 26]
    assert types["int4"] == (23, "int4recv", 0) and types["_text"] == (1009, "array_recv", 25), types["_text"]
    # all that the catalog lists can be read
    listed = guest.execute("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname <> 'public'").fetchall()
    assert len(listed) > 100, len(listed)
    for schema, table in listed:
        guest.execute(f'SELECT * FROM {schema}."{table}"').fetchall()
    for table in ("table_constraints", "key_column_usage", "referential_constraints", "character_sets", "views", "routines"):
        guest.execute(f"SELECT * FROM information_schema.{table}").fetchall()
    for table in ("pg_index", "pg_constraint", "pg_proc", "pg_roles", "pg_database", "pg_stat_activity", "pg_description"):
        guest.execute(f"SELECT * FROM {table}").fetchall()
    assert one(guest, "SELECT rolname FROM pg_roles") == server[1]
    assert one(guest, "SELECT has_table_privilege('events', 'SELECT')") is True
    assert one(guest, "SELECT has_table_privilege('events', 'INSERT')") is False


NPGSQL = """
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (
    SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
        elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
        CASE WHEN elemproc.proname = 'array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype, typ.typcategory
    FROM (
        SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
            CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
            CASE WHEN proc.proname = 'array_recv' THEN typ.typelem WHEN typ.typtype = 'r' THEN rngsubtype
                 WHEN typ.typtype = 'd' THEN typ.typbasetype END AS elemtypoid, typ.typcategory
        FROM pg_type AS typ
        LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
        LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
        LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)
    ) AS typ
    LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid
    LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
    LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive
) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind = 'c')
    OR (typtype = 'p' AND typname IN ('record', 'void', 'unknown'))
    OR (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR (elemtyptype = 'p' AND elemtypname IN ('record', 'void'))))
ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'c' THEN 1 WHEN typtype = 'r' THEN 2 ELSE 3 END
"""


# What drivers and tools ask of catalogs, in other words, with the number of rows, where it is known.
RECORDED = [
    # pgjdbc: keys, indexes, schemas, types, functions
    ("SELECT k.relname, k.attname, k.seq FROM (SELECT ct.relname, a.attname, a.attnum AS num, (information_schema._pg_expandarray(i.indkey)).n AS seq,"
     " information_schema._pg_expandarray(i.indkey) AS keys FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON ct.oid = a.attrelid"
     " JOIN pg_catalog.pg_index i ON a.attrelid = i.indrelid JOIN pg_catalog.pg_class ci ON ci.oid = i.indexrelid WHERE ct.relname = 'suites'"
     " AND i.indisprimary) k WHERE k.num = (k.keys).x ORDER BY k.seq", 0),
    ("SELECT a.attname FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON ct.oid = a.attrelid JOIN (SELECT i.indrelid,"
     " information_schema._pg_expandarray(i.indkey) AS keys FROM pg_catalog.pg_index i) i ON a.attnum = (i.keys).x AND a.attrelid = i.indrelid", 0),
    ("SELECT x.name, trim(both '\"' from pg_catalog.pg_get_indexdef(x.id, x.place, false)) AS part, CASE x.am WHEN 'btree' THEN"
     " CASE x.opts[x.place - 1] & 1::smallint WHEN 1 THEN 'D' ELSE 'A' END ELSE NULL END AS way FROM (SELECT ci.relname AS name, ci.oid AS id,"
     " (information_schema._pg_expandarray(i.indkey)).n AS place, i.indoption AS opts, am.amname AS am FROM pg_catalog.pg_index i"
     " JOIN pg_catalog.pg_class ci ON ci.oid = i.indexrelid JOIN pg_catalog.pg_am am ON ci.relam = am.oid) x ORDER BY 1", 0),
    ("SELECT pkn.nspname, pka.attname, pos.n, con.conname FROM pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka,"
     " pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n) WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid"
     " AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid AND con.contype = 'f' ORDER BY 1, 4, 3", 0),
    ("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname ="
     " (pg_catalog.current_schemas(true))[1]) ORDER BY 1", 3),
    ("SELECT t.typinput = 'pg_catalog.array_in'::regproc AS is_array, t.typname, t.oid FROM pg_catalog.pg_type t LEFT JOIN (SELECT ns.oid AS nspoid, r.r"
     " FROM pg_namespace ns JOIN (SELECT s.r, (current_schemas(false))[s.r] AS nspname FROM generate_series(1, array_upper(current_schemas(false), 1)) AS s(r))"
     " AS r USING (nspname)) AS sp ON sp.nspoid = t.typnamespace WHERE t.typname = '_int4' ORDER BY sp.r, t.oid DESC", 1),
    ("SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{a,abs,absolute}'::text[])", 1),
    ("SELECT n.nspname, p.proname, d.description FROM pg_catalog.pg_namespace n, pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_description d ON p.oid = d.objoid"
     " LEFT JOIN pg_catalog.pg_class c ON d.classoid = c.oid AND c.relname = 'pg_proc' WHERE p.pronamespace = n.oid AND p.prokind = 'p' AND p.proname LIKE 'nosuch%'", 0),
    # psqlODBC: columns, keys, indexes, functions
    ("select n.nspname, c.relname, a.attname, a.atttypid, t.typname, pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end,"
     " attidentity from (((pg_catalog.pg_class c inner join pg_catalog.pg_namespace n on n.oid = c.relnamespace and c.relname = 'suites' and n.nspname like 'public')"
     " inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid) inner join pg_catalog.pg_type t on t.oid = a.atttypid)"
     " left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum order by attnum", None),
    ("select ta.attname, ia.attnum from pg_catalog.pg_attribute ta, pg_catalog.pg_attribute ia, pg_catalog.pg_class tc, pg_catalog.pg_index i where tc.relname = 'suites'"
     " and tc.oid = i.indrelid and i.indisprimary = 't' and ta.attnum = i.indkey[ia.attnum-1] and ta.attrelid = i.indrelid and ia.attrelid = i.indexrelid", 0),
    ("select 'x'::name as \"A\", c1.relname, i::int2 as \"SEQ\" from ((select cn.oid, conrelid, conkey, generate_series(array_lower(conkey, 1), array_upper(conkey, 1)) as i"
     " from pg_catalog.pg_constraint cn, pg_catalog.pg_class c where contype = 'f' and confrelid = c.oid and relname = 'suites') ref"
     " inner join pg_catalog.pg_class c1 on c1.oid = ref.conrelid) inner join pg_catalog.pg_attribute a1 on a1.attrelid = c1.oid and a1.attnum = conkey[i] order by ref.oid, ref.i", 0),
    ("select c.relname, i.indkey, i.indisunique, a.amname, i.indoption from pg_catalog.pg_index i, pg_catalog.pg_class c, pg_catalog.pg_am a where i.indexrelid = c.oid and c.relam = a.oid order by i.indisprimary desc", 0),
    ("select proname, proretset, prorettype, pronargs, proargtypes, p.oid, attname, proargnames, proargmodes, proallargtypes from ((pg_catalog.pg_namespace n inner join"
     " pg_catalog.pg_proc p on p.pronamespace = n.oid) inner join pg_type t on t.oid = p.prorettype) left outer join pg_attribute a on a.attrelid = t.typrelid and attnum > 0"
     " and not attisdropped where has_function_privilege(p.oid, 'EXECUTE') and proname like 'upper' order by nspname, proname, p.oid, attnum", None),
    # Grafana: tables of the search path
    ("SELECT quote_ident(table_name) FROM information_schema.tables WHERE quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END"
     " FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1), array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i,"
     " string_to_array(current_setting('search_path'), ',') s) AND table_name = 'events'", 1),
    # pgcli: keys by their columns
    ("SELECT t.relname, unnest((SELECT array_agg(attname ORDER BY i) FROM (SELECT unnest(confkey) AS attnum, generate_subscripts(confkey, 1) AS i) x"
     " JOIN pg_catalog.pg_attribute c USING (attnum) WHERE c.attrelid = fk.confrelid)) AS column FROM pg_catalog.pg_constraint fk"
     " JOIN pg_catalog.pg_class t ON t.oid = fk.confrelid WHERE fk.contype = 'f'", 0),
    # dbt: relations, the catalog of its documentation, freshness
    ("select 'rejoin' as database, tablename as name, schemaname as schema, 'table' as type from pg_tables where schemaname ilike 'public' and tablename = 'suites'"
     " union all select 'rejoin' as database, viewname as name, schemaname as schema, 'view' as type from pg_views where schemaname ilike 'public'", 1),
    ("select sch.nspname as table_schema, tbl.relname as table_name, case tbl.relkind when 'v' then 'VIEW' else 'BASE TABLE' end as table_type, tbl_desc.description,"
     " col.attname, col.attnum as column_index, pg_catalog.format_type(col.atttypid, col.atttypmod) as column_type, pg_get_userbyid(tbl.relowner) as table_owner"
     " from pg_catalog.pg_namespace sch join pg_catalog.pg_class tbl on tbl.relnamespace = sch.oid join pg_catalog.pg_attribute col on col.attrelid = tbl.oid"
     " left outer join pg_catalog.pg_description tbl_desc on (tbl_desc.objoid = tbl.oid and tbl_desc.objsubid = 0) where upper(sch.nspname) = upper('public')"
     " and upper(tbl.relname) = upper('suites') and not pg_is_other_temp_schema(sch.oid) and tbl.relpersistence in ('p', 'u') and col.attnum > 0 and not col.attisdropped", None),
    ("select max(hit_time) as max_loaded_at, now() as snapshotted_at from \"rejoin\".\"public\".\"events\"", 1),
    # Metabase: fields with their comments
    ("SELECT c.column_name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN FORMAT('%s', c.udt_name) END AS kind, COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I',"
     " CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS note FROM information_schema.columns c"
     " WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_name = 'suites' UNION ALL SELECT pa.attname, pt.typname, NULL FROM pg_catalog.pg_class pc"
     " INNER JOIN pg_catalog.pg_attribute pa ON pa.attrelid = pc.oid INNER JOIN pg_catalog.pg_type pt ON pt.oid = pa.atttypid WHERE pc.relkind = 'm'", None),
    # DataGrip: what has changed since when
    ("select N.oid::bigint as id, N.xmin as state_number, nspname as name, pg_catalog.pg_get_userbyid(N.nspowner) as \"owner\" from pg_catalog.pg_namespace N"
     " left join pg_catalog.pg_description D on N.oid = D.objoid order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end", 3),
    ("select T.relkind, T.relname, T.oid, T.xmin, (select pg_catalog.array_agg(inhparent::bigint order by inhseqno)::varchar from pg_catalog.pg_inherits where T.oid = inhrelid)"
     " as ancestors from pg_catalog.pg_class T where relnamespace = 2200::oid and T.relname = 'suites' and pg_catalog.age(T.xmin) <="
     " coalesce(nullif(greatest(pg_catalog.age('1'::varchar::xid), -1), -1), 2147483647)", 1),
    ("select proname as r_name, oid as r_id, xmin as r_state_number, proargtypes::int[] as in_arg_types from pg_catalog.pg_proc where proname = 'starts_with'", 1),
    # pgAdmin: roles, activity, settings
    ("SELECT roles.oid, CASE WHEN 'pg_signal_backend' = ANY(ARRAY(WITH RECURSIVE cte AS (SELECT pg_roles.oid, pg_roles.rolname FROM pg_roles WHERE pg_roles.oid = roles.oid"
     " UNION ALL SELECT m.roleid, pgr.rolname FROM cte cte_1 JOIN pg_auth_members m ON m.member = cte_1.oid JOIN pg_roles pgr ON pgr.oid = m.roleid) SELECT rolname FROM cte))"
     " THEN True ELSE False END AS can_signal_backend FROM pg_catalog.pg_roles AS roles WHERE rolname = current_user", 1),
    ("SELECT pid, array_to_string(pg_catalog.pg_blocking_pids(pid), ', ') AS blocking_pids, pg_catalog.to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS backend_start"
     " FROM pg_catalog.pg_stat_activity WHERE datname = 'rejoin' ORDER BY pid", None),
    ("SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_stat_database) AS transactions", 1),
    ("SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'", 1),
    # a value for each row, of another table
    ("SELECT c.relname FROM pg_class c WHERE c.relname = 'suites' AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid) > 5", 1),
    ("SELECT 1 FROM (SELECT (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid) AS n FROM pg_class c WHERE c.relname = 'suites') x WHERE n > 5", 1),
    ("SELECT 1 FROM (SELECT (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace LIMIT 1) AS schema FROM pg_class c WHERE c.relname = 'suites') x WHERE schema = 'public'", 1),
    ("SELECT 1 FROM pg_namespace WHERE nspname = ANY (SELECT nspname FROM pg_namespace WHERE nspname <> 'public')", 2),
    # Hex and others: comments and sizes of tables whose names are put together
    ("SELECT obj_description((table_schema || '.' || quote_ident(table_name))::regclass) FROM information_schema.tables WHERE table_name = 'suites'", 1),
    ("SELECT pg_table_size((quote_ident(schemaname) || '.' || quote_ident(tablename))::regclass) FROM pg_tables WHERE tablename = 'suites'", 1),
    # Looker: days before now, an instant's day in a zone
    ("SELECT DATE(e.hit_time AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York') AS d FROM public.events AS e WHERE e.hit_time >="
     " (SELECT DATE_TRUNC('day', CURRENT_TIMESTAMP) + (-6000 || ' day')::INTERVAL) GROUP BY 1 ORDER BY 1 FETCH NEXT 1 ROWS ONLY", 1),
    # Grafana: buckets of time
    ("SELECT floor(extract(epoch from hit_time)/300)*300 AS \"time\", count(*) FROM events WHERE hit_time BETWEEN '2020-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'"
     " AND hit_time >= to_timestamp(0) GROUP BY 1 ORDER BY 1 LIMIT 1", 1),
    # Tableau: days after a time
    ("SELECT CAST((\"hit_time\" + 7 * INTERVAL '1 DAY') AS DATE) AS d FROM \"public\".\"events\" \"events\" GROUP BY 1 LIMIT 1", 1),
    # tableoid, format, SIMILAR TO, an array of a query
    ("SELECT c.relname FROM pg_class c WHERE c.tableoid = 'pg_class'::regclass AND format('%I.%s', 'a b', c.relname) SIMILAR TO '\"a b\".(suites|nosuch)'", 1),
    ("SELECT (information_schema._pg_expandarray(ARRAY['a', 'b', 'c'])).n", 3),
    ("SELECT array_to_string(ARRAY(SELECT nspname FROM pg_namespace ORDER BY 1), ',')", 1),
]


def clients(port, user, password):
    """Drivers and tools come in, look around and ask."""
    import adbc_driver_postgresql.dbapi as adbc
    import sqlalchemy

    address = f"postgresql+psycopg://{user}:{password.replace(' ', '%20')}@127.0.0.1:{port}/rejoin"
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as guest:
        count = guest.execute(sqlalchemy.text("SELECT count(*) FROM events WHERE row_kind = :kind"), {"kind": "online"}).scalar()
        assert count > 0
    seen = sqlalchemy.inspect(engine)
    assert {"events", "hits"} <= set(seen.get_table_names()), seen.get_table_names()
    assert "public" in seen.get_schema_names() and seen.has_table("suites")
    assert seen.get_view_names() == []
    columns = {column["name"]: str(column["type"]) for column in seen.get_columns("suites")}
    assert columns["suite"] == "TEXT", columns
    columns = {column["name"]: str(column["type"]) for column in seen.get_columns("events")}
    assert columns["hit_seq"].startswith("NUMERIC") and columns["orders"] == "DOUBLE PRECISION", columns
    every = sqlalchemy.engine.reflection.ObjectKind.ANY
    assert len(seen.get_multi_columns(kind=every)) == len(seen.get_multi_indexes(kind=every)) == len(seen.get_table_names())
    assert (seen.get_pk_constraint("suites")["constrained_columns"], seen.get_foreign_keys("suites"), seen.get_indexes("suites")) == ([], [], [])
    table = sqlalchemy.table("events", sqlalchemy.column("row_kind"))
    with engine.connect() as guest:
        kinds = sqlalchemy.select(table.c.row_kind).where(table.c.row_kind.in_(["online", "offline"])).limit(3)
        assert len(guest.execute(kinds).fetchall()) == 3
    engine.dispose()
    import pg8000.dbapi

    with pg8000.dbapi.connect(user, host="127.0.0.1", port=int(port), password=password, database="rejoin") as plain, contextlib.closing(plain.cursor()) as cursor:
        cursor.execute("SELECT count(*), %s::numeric(3, 1), %s::date FROM events WHERE row_kind = %s", (decimal.Decimal("1.5"), datetime.date(2026, 9, 1), "online"))
        assert list(cursor.fetchone())[1:] == [decimal.Decimal("1.5"), datetime.date(2026, 9, 1)]
    with adbc.connect(address.replace("+psycopg", ""), autocommit=True) as guest, guest.cursor() as cursor:
        cursor.execute("SELECT 1 AS one, 'x' AS text")
        assert cursor.fetchone() == (1, "x")
        (catalog,) = guest.adbc_get_objects(depth="all", db_schema_filter="public", table_name_filter="suites").read_all().to_pylist()
        (suites,) = catalog["catalog_db_schemas"][0]["db_schema_tables"]
        first = min(suites["table_columns"], key=lambda column: column["ordinal_position"])
        assert first["column_name"] == "suite" and not suites["table_constraints"], suites
    guest = connect(port, user, password)
    for sql, count in RECORDED:
        with guest.cursor() as cursor:
            try:
                found = len(cursor.execute(sql).fetchall())
            except psycopg.Error as error:
                raise AssertionError(f"{error}: {sql}") from None
            assert found == count or count is None and found > 0, (sql, found, count)
    assert one(guest, "SELECT (information_schema._pg_expandarray(ARRAY['a', 'b'])).x") == "a"
    # lists of a catalog have Postgres' types: an oidvector is written 25 25
    functions = guest.execute("SELECT p.proargtypes, p.proallargtypes, p.proargmodes FROM pg_proc p JOIN pg_type t ON p.prorettype = t.oid"
                              " WHERE p.proname IN ('starts_with', 'pg_get_keywords') ORDER BY p.proname, p.oid::text")
    assert [column.type_code for column in functions.description] == [30, 1028, 1002], functions.description
    assert functions.fetchall() == [("", [25, 18, 16, 25, 25], ["o"] * 5), ("25 25", None, None)]
    lists = guest.execute("SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid"
                          " WHERE c.relname = 'pg_index' AND a.attname IN ('indkey', 'indclass') ORDER BY 1")
    assert lists.fetchall() == [("indclass", "oidvector"), ("indkey", "int2vector")]
    types = {row[2]: row for row in guest.execute(NPGSQL)}
    assert types["int4"][:4] == ("pg_catalog", 23, "int4", "b") and types["_int4"][3:] == ("a", False, 23), types["_int4"]


def resident(process):
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def many(port, user, password, process):
    """A connection that is gone leaves nothing: 300 of them less than 0.2 MB each, where the catalogs alone have 5."""
    def visit():
        with connect(port, user, password) as guest:
            guest.execute("SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid").fetchall()

    for _ in range(30):
        visit()
    before = resident(process)
    for _ in range(300):
        visit()
    grown = resident(process) - before
    print(f"{before} kB, and {grown} kB more after 300 connections")
    assert grown < 60_000, (before, grown)


globals()[sys.argv[1]](*sys.argv[2:])
print("ok")
