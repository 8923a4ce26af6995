"""Asks the statements of statements.sql through the doors of a server, and compares what comes with `rejoin query`.

doors.py POSTGRES_PORT FLIGHT_PORT HTTP_PORT USER PASSWORD TOKEN
"""

import csv
import datetime
import decimal
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import adbc_driver_flightsql.dbapi as flight
import psycopg
import pyarrow.flight

HERE = pathlib.Path(__file__).parent


def statements():
    text = "\n".join(line for line in (HERE / "statements.sql").read_text().splitlines() if not line.startswith("--"))
    return [s.strip() for s in text.split(";\n") if s.strip()]


def number(value):
    """Ten digits of a number: floats are printed in different ways."""
    return f"{float(value):.10g}"


def plain(value):
    """One way to write a value, whatever type a driver has for it."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case int():
            return number(value) if abs(value) < 2**53 else str(value)
        case decimal.Decimal():
            return plain(int(value)) if value == value.to_integral_value() else number(value)
        case float():
            return number(value)
        case datetime.datetime():
            zone = datetime.timezone.utc
            value = value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)
            return "at " + value.isoformat()
        case datetime.date():
            return value.isoformat()
        case list():
            return [plain(v) for v in value]
        case str():
            return text(value)
    raise TypeError(f"{value!r}")


def text(value):
    """A text that may be a value of another type, from a door that knows texts only."""
    if value in ("t", "f"):
        return "true" if value == "t" else "false"
    if re.fullmatch(r"-?\d+", value):
        return plain(int(value))
    if re.fullmatch(r"-?\d+\.\d+(e[-+]?\d+)?", value):
        return number(value)
    if len(value) >= 19 and value[4:5] == "-" and value[10:11] in ("T", " ") and value[13:14] == ":":
        return plain(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")))
    return value


def rows(table):
    return [[plain(v) for v in row] for row in table]


def of_query(sql):
    done = subprocess.run(["rejoin", "query", sql, "--format", "json"], capture_output=True, text=True, check=True)
    table = json.loads(done.stdout)
    return [list(row.values()) for row in table]


def of_shell(sql):
    done = subprocess.run(["rejoin", "shell", "--format", "json"], input=sql + ";", capture_output=True, text=True, check=True)
    return [list(row.values()) for row in json.loads(done.stdout)]


def of_psql(port, user, password, sql):
    """Texts only; a list is compared in its own words, so psql is asked for JSON's nulls by a mark."""
    command = ["psql", "-X", "-h", "127.0.0.1", "-p", port, "-U", user, "-d", "rejoin", "--csv", "-P", "null=<null>", "-c", sql]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PGPASSWORD": password})
    assert done.returncode == 0, f"{sql}\n{done.stderr}"
    table = list(csv.reader(io.StringIO(done.stdout)))[1:]
    return [[None if cell == "<null>" else cell for cell in row] for row in table]


class Web:
    """The SQL page, as a browser without script has it."""

    def __init__(self, port, user, password):
        self.address = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        self.post("/login", user=user, password=password)

    def post(self, path, **form):
        return self.opener.open(self.address + path, urllib.parse.urlencode(form).encode()).read().decode()

    def ask(self, sql):
        """Rows of the download, NULL and an empty text alike. A list is not compared: it is in Arrow's words."""
        table = list(csv.reader(io.StringIO(self.post("/sql", q=sql, to="csv"))))[1:]
        return [[text(cell) or None for cell in row] for row in table]


def as_text(value):
    """A list as Postgres writes it."""
    if not isinstance(value, list):
        return value
    quoted = lambda v: '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"'
    misleads = lambda v: v == "" or v.upper() == "NULL" or re.search(r'["\\{},\s]', v)
    return "{" + ",".join("NULL" if v is None else quoted(v) if isinstance(v, str) and misleads(v) else str(v) for v in value) + "}"


def by_line(plans):
    """Plans as Postgres gives them: a line in each row."""
    lines = [[kind.replace("_", " "), *("  " + line for line in plan.splitlines())] for kind, plan in plans]
    return [[line] for plan in lines for line in plan]


def main(postgres, flight_port, http_port, user, password, token):
    asked = statements()
    by_web = Web(http_port, user, password)
    by_psycopg = psycopg.connect(
        host="127.0.0.1", port=postgres, user=user, password=password, dbname="rejoin", autocommit=True
    )
    options = {"adbc.flight.sql.authorization_header": f"Bearer {token}"}
    by_token = flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs=options, autocommit=True)
    by_password = flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs={"username": user, "password": password}, autocommit=True)
    for sql in asked:
        expected = rows(of_query(sql))
        assert rows(of_shell(sql)) == expected, f"shell: {sql}"
        found = [[plain(v) for v in row] for row in of_psql(postgres, user, password, sql)]
        by_postgres = by_line(expected) if sql.startswith("EXPLAIN") else expected
        lists = [[as_text(v) for v in row] for row in by_postgres]
        assert found == lists, f"psql: {sql}\n{found[:3]}\n{lists[:3]}"
        found, wanted = by_web.ask(sql), [[None if v == "" else v for v in row] for row in expected]
        lists = {i for row in wanted for i, v in enumerate(row) if isinstance(v, list)}
        without = lambda table: [[v for i, v in enumerate(row) if i not in lists] for row in table]
        assert without(found) == without(wanted), f"web: {sql}\n{found[:3]}\n{wanted[:3]}"
        for binary in (False, True):
            with by_psycopg.cursor(binary=binary) as cursor:
                found = rows(cursor.execute(sql, prepare=binary).fetchall())
                assert found == by_postgres, f"psycopg, binary {binary}: {sql}\n{found[:3]}\n{by_postgres[:3]}"
        for connection in (by_token, by_password):
            with connection.cursor() as cursor:
                cursor.execute(sql)
                found = rows(cursor.fetchall())
                assert found == expected, f"Flight SQL: {sql}\n{found[:3]}\n{expected[:3]}"
    parameters(by_psycopg, by_token)
    browsing(by_token)
    metadata(flight_port, token)
    print(f"{len(asked)} statements through 7 doors")


def parameters(by_psycopg, by_flight):
    """Prepared statements: text and binary values, by both protocols."""
    question = "SELECT count(*) FROM events WHERE row_kind = {} AND hit_time >= {} AND hit_source > {}"
    since = datetime.datetime(2026, 9, 1, tzinfo=datetime.timezone.utc)
    expected = of_query(question.format("'transaction'", "TIMESTAMP '2026-09-01T00:00:00Z'", "0"))[0][0]
    for binary in (False, True):
        with by_psycopg.cursor(binary=binary) as cursor:
            found = cursor.execute(question.format("%s", "%s", "%s"), ["transaction", since, 0], prepare=True).fetchone()[0]
            assert found == expected, (binary, found, expected)
    for marks in (["$1", "$2", "$3"], ["?", "?", "?"]):
        with by_flight.cursor() as cursor:
            cursor.execute(question.format(*marks), ["transaction", since, 0])
            assert cursor.fetchone()[0] == expected, marks
    # a value keeps its type beside another one, and where its place has none
    with by_flight.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events WHERE visit_num < ?", [1.5])
        assert cursor.fetchone()[0] == of_query("SELECT count(*) FROM events WHERE visit_num < 1.5")[0][0] > 0
        for value in [7, 1.5, "a", True, b"ab", decimal.Decimal("1.25"), datetime.date(2026, 9, 1)]:
            cursor.execute("SELECT ? AS v", [value])
            assert cursor.fetchone()[0] == value, value
    assert by_psycopg.execute("SELECT %s::decimal(10, 2) + 1", [decimal.Decimal("-0.05")]).fetchone()[0] == decimal.Decimal("0.95")
    # a client's fetch size
    with by_psycopg.cursor() as cursor:
        count = sum(1 for _ in cursor.stream("SELECT * FROM range(1, 20001)"))
        assert count == 20000, count


def metadata(port, token):
    """What JDBC's driver asks of the server itself."""
    client = pyarrow.flight.connect(f"grpc://127.0.0.1:{port}")
    options = pyarrow.flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())])
    for command, rows_of in [
        ("CommandGetSqlInfo", range(10, 100)), ("CommandGetXdbcTypeInfo", range(5, 100)),
        ("CommandGetPrimaryKeys", [0]), ("CommandGetExportedKeys", [0]), ("CommandGetImportedKeys", [0]),
        ("CommandGetCrossReference", [0]), ("CommandGetTableTypes", [1]), ("CommandGetDbSchemas", [1]),
    ]:
        name = f"type.googleapis.com/arrow.flight.protocol.sql.{command}".encode()
        asked = pyarrow.flight.FlightDescriptor.for_command(b"\x0a" + bytes([len(name)]) + name)
        info = client.get_flight_info(asked, options)
        table = client.do_get(info.endpoints[0].ticket, options).read_all()
        assert table.schema == info.schema and table.num_rows in rows_of, (command, table)


def browsing(connection):
    found = connection.adbc_get_objects(depth="columns").read_all().to_pylist()
    tables = {t["table_name"]: t for c in found for s in c["catalog_db_schemas"] for t in s["db_schema_tables"]}
    assert {"events", "hits", "offline", "visits"} <= set(tables), set(tables)
    columns = {c["column_name"] for c in tables["events"]["table_columns"]}
    assert {"visitor_id", "hit_time", "tracking_code"} <= columns, columns
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Rejoin", info


main(*sys.argv[1:])
