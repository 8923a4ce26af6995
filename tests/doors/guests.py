"""What guests do to a server beside asking: too many, too much, not reading on.

guests.py NAME POSTGRES_PORT FLIGHT_PORT USER PASSWORD [CERTIFICATE | PROCESS MEGABYTES]
"""

import contextlib
import socket
import struct
import sys
import time

import adbc_driver_flightsql.dbapi as flight
import psycopg

ENDLESS = "SELECT * FROM range(1, 100000000)"


def connect(port, user, password, **options):
    return psycopg.connect(
        host="127.0.0.1", port=port, user=user, password=password, dbname="rejoin", autocommit=True, **options
    )


def refused(sqlstate, ask):
    try:
        ask()
    except psycopg.Error as error:
        # a connection that is refused has no state of its own in this driver
        found = error.sqlstate or sqlstate
        assert found == sqlstate, f"{found}: {error}"
        return str(error)
    raise AssertionError(f"expected {sqlstate}")


def many(postgres, _, user, password):
    """200 connections: as many as there are places come in, the others are told; a place that is left is free again."""
    inside, told = [], []
    for _ in range(200):
        try:
            inside.append(connect(postgres, user, password))
        except psycopg.OperationalError as error:
            told.append(str(error))
    assert len(inside) == 25 and len(told) == 175, (len(inside), len(told))
    assert all("too many connections" in text for text in told), told[0]
    assert inside[7].execute("SELECT 1").fetchone() == (1,)
    inside.pop().close()
    for _ in range(1200):
        try:
            inside.append(connect(postgres, user, password))
            break
        except psycopg.OperationalError:
            time.sleep(0.05)
    assert len(inside) == 25


def stopped_reading(postgres, flight_port, user, password):
    """Clients that stop reading hold nobody up, and lose what they did not fetch when the statement's time is over."""
    lazy = [connect(postgres, user, password) for _ in range(6)]
    for connection in lazy:
        connection.pgconn.send_query(ENDLESS.encode())
        connection.pgconn.flush()
    options = {"username": user, "password": password}
    by_flight = flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs=options, autocommit=True)
    cursor = by_flight.cursor()
    cursor.execute(ENDLESS)
    assert cursor.fetchone() == (1,)
    other = connect(postgres, user, password)
    assert other.execute("SELECT count(*) FROM suites").fetchone()[0] >= 1
    time.sleep(2.5)
    for connection in lazy:
        result = connection.pgconn.get_result()
        state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        assert state == b"57014", (state, result.error_message)
        assert connection.pgconn.get_result() is None
    try:
        while cursor.fetchmany(100000):
            pass
        raise AssertionError("the rows have no end")
    except Exception as error:
        assert "time" in str(error).lower(), error
    # the connection is as good as before
    assert lazy[0].execute("SELECT 2").fetchone() == (2,)


def limited(postgres, flight_port, user, password):
    """Rows, memory, time and length of a statement are bounded, and the connection lives on."""
    connection = connect(postgres, user, password)
    message = refused("54000", lambda: connection.execute("SELECT * FROM range(1, 5000)").fetchall())
    assert "more than 1000 rows" in message, message
    hungry = "SELECT count(*) FROM range(1, 9000000) a JOIN range(1, 9000000) b ON a.value = b.value"
    message = refused("53200", lambda: connection.execute("SET rejoin.suite = ''; " + hungry))
    assert "--memory" in message, message
    refused("54000", lambda: connection.execute("SELECT 1 " + " " * 10_000_000))
    refused("42000", lambda: connection.execute("SELECT " + "1+" * 200_000 + "1"))
    for long in ["SELECT generate_series(1, 2000000000)", "SELECT count(*) FROM suites, generate_series(1, length(suite) + 2000000000) n"]:
        refused("53200", lambda: connection.execute(long))
    # no value is made of which the memory could not be asked for, nor is one written out in many rows
    for large in ["repeat('x', 2000000000)", "array_repeat(1, 2000000000)", "array_resize([1], 2000000000)", "lpad('x', 2000000000)",
                  "count(*) FROM (SELECT unnest(range(0, 1000000)) FROM range(1000000))", "repeat('x', 9000000) FROM range(1000000)"]:
        refused("53200", lambda: connection.execute(f"SELECT {large}"))
    # names that stand for a billion tables are not planned
    doubled = ", ".join(f"c{i} AS (SELECT * FROM c{i - 1} UNION ALL SELECT * FROM c{i - 1})" for i in range(1, 30))
    refused("42000", lambda: connection.execute(f"WITH c0 AS (SELECT 1 AS x), {doubled} SELECT count(*) FROM c29"))
    # what has been given up leaves room for others
    for _ in range(2):
        refused("57014", lambda: connection.execute("SELECT count(*) FROM range(1, 20000) a, range(1, 20000) b, range(1, 20000) c"))
    assert connection.execute("SELECT count(*) > 0 FROM suites").fetchone() == (True,)
    refused("57014", lambda: connection.execute("SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3"))
    connection.execute("SET statement_timeout = '200ms'")
    message = refused("57014", lambda: connection.execute("SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3"))
    assert "200ms" in message, message
    assert connection.execute("SELECT 1").fetchone() == (1,)
    options = {"username": user, "password": password}
    by_flight = flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs=options, autocommit=True)
    for sql in ["SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3", "SELECT 1 " + " " * 10_000_000, "CREATE TABLE x AS SELECT 1", "SELECT 'a"]:
        try:
            by_flight.cursor().execute(sql)
            with by_flight.cursor() as cursor:
                cursor.execute(sql)
                cursor.fetchall()
            raise AssertionError(f"no error: {sql[:60]}")
        except flight.Error:
            pass
    with by_flight.cursor() as cursor:
        cursor.execute("SELECT 3")
        assert cursor.fetchone() == (3,)
    for wrong in [{"username": user, "password": "not this one"}, {"adbc.flight.sql.authorization_header": "Bearer rejoin_x"}, {}]:
        try:
            flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs=wrong, autocommit=True).cursor().execute("SELECT 1")
            raise AssertionError(f"came in with {wrong}")
        except flight.Error as error:
            assert "UNAUTHENTICATED" in str(error), error


def parts(postgres, _, user, password, process, megabytes):
    """A statement of many parts is answered right, and the server stays below its --memory and 300 MB."""
    guest = connect(postgres, user, password)
    participation = "SELECT item, credit FROM participation('orders', 'page_name')"
    credits = [credit for _, credit in guest.execute(participation).fetchall()]
    items = guest.execute(f"SELECT count(item) FROM ({participation}) p").fetchone()[0]
    assert items > 3
    totals = f"SELECT count(*) AS n, sum(credit) AS total FROM ({participation}) p"
    for part, count, once in [
        (totals, 60, ""),
        (totals, 20, f"WITH once AS ({totals}) "),
        ("SELECT count(*) AS n, count(DISTINCT item) AS items FROM credits('orders', 'tracking_code', 'linear')", 20, ""),
        ("SELECT count(*) AS n, max(hit_time) AS latest FROM events", 20, ""),
        ("SELECT count(*) AS n, min(visitor_id) AS first FROM hits WHERE tracking_code IS NOT NULL", 60, ""),
    ]:
        wanted = guest.execute(part).fetchone()
        named = "once" if once else f"({part})"
        branches = " UNION ALL ".join(f"SELECT {number} AS part, p.* FROM {named} p" for number in range(count))
        found = sorted(guest.execute(once + branches).fetchall())
        assert found == [(number, *wanted) for number in range(count)], (part, found[:3], wanted)
        within(process, megabytes, part)
    limits = range(0, 40, 2)
    subqueries = ", ".join(f"(SELECT count(*) FROM ({participation}) p WHERE credit > {limit})" for limit in limits)
    found = guest.execute(f"SELECT {subqueries}").fetchone()
    assert found == tuple(sum(credit > limit for credit in credits) for limit in limits), found
    scans = ", ".join(f"(SELECT count(*) FROM hits WHERE length(visitor_id) <> {number + 1000})" for number in range(40))
    known = guest.execute("SELECT count(visitor_id) FROM hits").fetchone()[0]
    assert set(guest.execute(f"SELECT {scans}").fetchone()) == {known}
    within(process, megabytes, "subqueries")
    joined = " ".join(f"JOIN ({participation}) p{number} ON p{number}.item = p0.item" for number in range(1, 12))
    assert guest.execute(f"SELECT count(*) FROM ({participation}) p0 {joined}").fetchone() == (items,)
    within(process, megabytes, "joins")


def within(process, megabytes, what):
    with open(f"/proc/{process}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(f"{peak >> 10} MB after {what}")
    assert peak << 10 < (int(megabytes) + 300) * 10**6, (what, peak)


def forgetful(_, flight_port, user, password):
    """Who never closes what he prepares is not locked out: what was used longest ago is forgotten."""
    options = {"username": user, "password": password}
    by_flight = flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs=options, autocommit=True)
    open_ones = [by_flight.cursor() for _ in range(250)]
    for i, cursor in enumerate(open_ones):
        cursor.adbc_prepare(f"SELECT {i} + $1")
    open_ones[-1].execute("SELECT 249 + $1", [1])
    assert open_ones[-1].fetchone() == (250,)
    with flight.connect(f"grpc://127.0.0.1:{flight_port}", db_kwargs=options, autocommit=True) as other:
        with other.cursor() as cursor:
            cursor.execute("SELECT $1 + 1", [6])
            assert cursor.fetchone() == (7,)


def strangers(postgres, flight_port, user, password):
    """Who has not proved who he is cannot fill the server's memory, nor can a guest."""
    stranger = socket.create_connection(("127.0.0.1", int(postgres)))
    hello = struct.pack("!i", 196608) + b"user\0" + user.encode() + b"\0\0"
    stranger.sendall(struct.pack("!i", len(hello) + 4) + hello)
    assert stranger.recv(1) == b"R"
    sent = 0
    try:
        stranger.sendall(b"p" + struct.pack("!i", 900_000_000))
        while sent < 800 << 20:
            stranger.sendall(bytes(1 << 16))
            sent += 1 << 16
        raise AssertionError("the server takes it all")
    except (ConnectionResetError, BrokenPipeError):
        # how soon depends on how fast it comes
        print(f"cut off after {sent >> 20} MB")
    for rubbish in [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\xff" * 100_000, struct.pack("!ii", 8, 80877102)]:
        with socket.create_connection(("127.0.0.1", int(postgres))) as stranger, contextlib.suppress(ConnectionError):
            stranger.sendall(rubbish)
            stranger.recv(1)
    guest = connect(postgres, user, password)
    # in the middle of the message, or when it is there, as fast as it comes
    refused("54000", lambda: guest.execute("SELECT 1 " + " " * 60_000_000))
    assert connect(postgres, user, password).execute("SELECT 1").fetchone() == (1,)


def secure(postgres, flight_port, user, password, certificate):
    """With TLS, nothing else is spoken."""
    connection = connect(postgres, user, password, sslmode="verify-full", sslrootcert=certificate)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert "TLS" in refused("42501", lambda: connect(postgres, user, password, sslmode="disable"))
    with open(certificate) as pem:
        options = {"username": user, "password": password, "adbc.flight.sql.client_option.tls_root_certs": pem.read()}
    by_flight = flight.connect(f"grpc+tls://127.0.0.1:{flight_port}", db_kwargs=options, autocommit=True)
    with by_flight.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


globals()[sys.argv[1]](*sys.argv[2:])
print("ok")
