"""What Postgres clients expect of the Postgres door. postgres.py NAME PORT USER PASSWORD

Expected values are those that PostgreSQL's manual gives for the same statement, where the lake is not asked.
"""

import asyncio
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
            ("SELECT sum(hit_seq) FROM events GROUP BY row_kind ORDER BY sum(hit_seq)", ["sum"]),
        ]:
            cursor.execute(sql)
            assert [column.name for column in cursor.description] == names, (sql, cursor.description)
    refused("42P01", lambda: guest.execute("SELECT * FROM evnts"), "did you mean events?")
    refused("42703", lambda: guest.execute("SELECT evnt_id FROM events"), "did you mean")
    refused("42601", lambda: guest.execute("SELEC 1"))
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
    # there is no such type: a text
    given = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    assert {one(guest, f"SELECT {form}", given) for form in ("%t", "%b")} == {str(given)}
    kinds = [row[0] for row in guest.execute("SELECT DISTINCT row_kind FROM events ORDER BY 1")]
    count = one(guest, "SELECT count(*) FROM events")
    for form in ("%t", "%b"):
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind = ANY({form})", kinds) == count > 0
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind = ANY({form})", ["no such"]) == 0
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind <> ALL({form})", kinds[:1]) < count
        assert one(guest, f"SELECT count(*) FROM events WHERE row_kind = ANY({form}::text[])", kinds[:1]) < count
        assert len(guest.execute(f"SELECT 1 FROM events LIMIT {form} OFFSET {form}", [3, 1], prepare=True).fetchall()) == 3
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
    refused("22023", lambda: guest.execute("SET TIME ZONE 'Europe/Berlin'"), "local_time")
    refused("42704", lambda: guest.execute("SET statment_timeout = 1"), "did you mean")
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
    refused("42703", lambda: guest.execute("BEGIN; SELECT nothing; SELECT 1"))
    assert guest.info.transaction_status == status.INERROR
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
    assert (seen.get_pk_constraint("suites")["constrained_columns"], seen.get_foreign_keys("suites"), seen.get_indexes("suites")) == ([], [], [])
    table = sqlalchemy.table("events", sqlalchemy.column("row_kind"))
    with engine.connect() as guest:
        kinds = sqlalchemy.select(table.c.row_kind).where(table.c.row_kind.in_(["online", "offline"])).limit(3)
        assert len(guest.execute(kinds).fetchall()) == 3
    engine.dispose()
    with adbc.connect(address.replace("+psycopg", ""), autocommit=True) as guest, guest.cursor() as cursor:
        cursor.execute("SELECT 1 AS one, 'x' AS text")
        assert cursor.fetchone() == (1, "x")
    guest = connect(port, user, password)
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
