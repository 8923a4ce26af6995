"""The clients' side of the doors, run by the Python of tests/doors.

    clients.py rows WAY SERVER RUNS SQL   asks once to warm up, then RUNS times: best seconds, and how many rows came
    clients.py load FROM TO SQL           makes the rows of a statement the table `events` of another server
    clients.py users SERVERS ANSWERS SQL  seconds of ANSWERS answers of the first user alone, before and after all users ask at
                                          once, each one answer after another, for as long as each can expect ANSWERS of them
    clients.py together SERVERS RUNS SHORT SQLS  seconds of each statement alone, of all at once, each by a user of its own, and of a
                                          short one, alone and while the others are answered
    clients.py day SERVERS PROCESS CONNECTIONS STATEMENTS  resident bytes of a server by the number of connections that it has had;
                                          the users of SERVERS, which are by door, connect and ask all at once

A server is JSON: port, user and password, and a database where it speaks Postgres' protocol. What comes out is JSON, too.
`text`, `binary`: psycopg, the rows in the memory of libpq; `objects`: as Python's values. `copy`, `copy_binary`: COPY TO STDOUT.
`flight`: ADBC, a table of Arrow. `csv`, `arrow`: downloads of the SQL page.
"""

import concurrent.futures
import contextlib
import itertools
import json
import pathlib
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request

import psycopg
import psycopg.postgres
from kinds import KINDS

# of ten connections one after the other; most people's programs speak Postgres' protocol
BY_POSTGRES = [(way, "postgres") for way in ("text", "binary", "objects", "binary")]
DOORS = [*BY_POSTGRES, ("flight", "flight"), *BY_POSTGRES, ("csv", "http")]
# so many connections have filled what is kept
FIRST = 100
# nothing is asked any more for so long, seconds
QUIET = 5


def main():
    task, *arguments = sys.argv[1:]
    print(json.dumps({"rows": rows, "load": load, "users": users, "together": together, "day": day}[task](*arguments)))


def rows(way, server, runs, sql):
    seconds = []
    with WAYS[way](json.loads(server)) as ask:
        for _ in range(int(runs) + 1):
            begun = time.perf_counter()
            count = ask(sql)
            seconds.append(time.perf_counter() - begun)
    return {"seconds": min(seconds[1:] or seconds), "rows": count}


def load(source, target, sql):
    """In COPY's binary format, so that PostgreSQL reads what Rejoin writes."""
    with connected(json.loads(source)) as here, connected(json.loads(target)) as there:
        columns = here.execute(f"SELECT * FROM ({sql}) AS asked LIMIT 0").description
        columns = [f'"{column.name}" {psycopg.postgres.types[column.type_code].name}' for column in columns]
        there.execute(f"CREATE TABLE events ({', '.join(columns)})")
        with here.cursor() as reader, there.cursor() as writer:
            with reader.copy(f"COPY ({sql}) TO STDOUT (FORMAT binary)") as out:
                with writer.copy("COPY events FROM STDIN (FORMAT binary)") as into:
                    for data in out:
                        into.write(data)
            count = writer.rowcount
        there.execute("VACUUM ANALYZE events")
    return {"rows": count}


def users(servers, answers, sql):
    servers, answers = json.loads(servers), int(answers)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(server)) for server in servers]
        for connection in connections:
            ask_once(connection, sql)
        alone = [ask_once(connections[0], sql) for _ in range(answers)]
        until = time.monotonic() + statistics.median(alone) * answers * len(connections)
        each = [[] for _ in connections]

        def ask(connection, seconds):
            while time.monotonic() < until:
                seconds.append(ask_once(connection, sql))

        threads = [threading.Thread(target=ask, args=pair) for pair in zip(connections, each)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # the machine may have become faster or slower meanwhile
        alone += [ask_once(connections[0], sql) for _ in range(answers)]
    return {"alone": alone, "each": each}


def together(servers, runs, short, statements):
    servers, statements = json.loads(servers), json.loads(statements)
    with contextlib.ExitStack() as stack:
        *connections, quick = [stack.enter_context(connected(server)) for server in servers]
        pairs = list(zip(connections, statements, strict=True))
        for connection, sql in [*pairs, (quick, short)]:
            ask_once(connection, sql)
        in_turn, at_once, beside = [], [], []
        for _ in range(int(runs)):
            in_turn.append([ask_once(*pair) for pair in pairs])
            begun = time.perf_counter()
            threads = [threading.Thread(target=ask_once, args=pair) for pair in pairs]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                beside.append(ask_once(quick, short))
                time.sleep(0.02)
            at_once.append(time.perf_counter() - begun)
        alone = [ask_once(quick, short) for _ in range(10)]
    return {"in_turn": in_turn, "at_once": at_once, "alone": alone, "beside": beside}


def day(servers, process, connections, statements):
    servers, process, connections = json.loads(servers), int(process), int(connections)
    each, numbers, ended, sizes = int(statements) // connections, itertools.count(), itertools.count(1), {}

    def work(user):
        while (number := next(numbers)) < connections:
            way, door = DOORS[number % len(DOORS)]
            with WAYS[way](user[door]) as ask:
                for turn in range(each):
                    ask(KINDS[(number * each + turn) % len(KINDS)])
            count = next(ended)
            if count == FIRST or count % 1_000 == 0:
                sizes[count] = resident(process)

    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(servers)) as pool:
        for done in [pool.submit(work, user) for user in servers]:
            done.result()
    seconds = time.monotonic() - begun
    time.sleep(QUIET)
    last = resident(process)
    return {"first": sizes[FIRST], "last": last, "most": max(last, *sizes.values()), "seconds": seconds, "sizes": sizes}


def resident(process):
    """Resident bytes of a process."""
    [line] = [line for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def ask_once(connection, sql):
    begun = time.perf_counter()
    connection.execute(sql).fetchall()
    return time.perf_counter() - begun


def connected(server):
    return psycopg.connect(host="127.0.0.1", autocommit=True, **server)


def queried(binary, objects=False):
    @contextlib.contextmanager
    def way(server):
        def ask(sql):
            with connection.cursor(binary=binary) as cursor:
                cursor.execute(sql, prepare=False)
                return len(cursor.fetchall()) if objects else cursor.rowcount

        with connected(server) as connection:
            yield ask

    return way


def copied(options):
    @contextlib.contextmanager
    def way(server):
        def ask(sql):
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY ({sql}) TO STDOUT {options}") as out:
                    for _ in out:
                        pass
                return cursor.rowcount

        with connected(server) as connection:
            yield ask

    return way


@contextlib.contextmanager
def flown(server):
    import adbc_driver_flightsql.dbapi as flight

    def ask(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table().num_rows

    who = {"username": server["user"], "password": server["password"]}
    with flight.connect(f"grpc://127.0.0.1:{server['port']}", db_kwargs=who, autocommit=True) as connection:
        yield ask


def downloaded(kind):
    @contextlib.contextmanager
    def way(server):
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

        def post(path, **form):
            address = f"http://127.0.0.1:{server['port']}{path}"
            with opener.open(address, urllib.parse.urlencode(form).encode()) as answer:
                return answer.read()

        def ask(sql):
            return COUNTS[kind](post("/sql", q=sql, to=kind))

        post("/login", user=server["user"], password=server["password"])
        yield ask

    return way


def count_of_arrow(data):
    import pyarrow

    return pyarrow.ipc.open_file(data).read_all().num_rows


# the benchmark's texts have no line breaks
COUNTS = {"csv": lambda data: data.count(b"\n") - 1, "arrow": count_of_arrow}

WAYS = {
    "text": queried(binary=False),
    "binary": queried(binary=True),
    "objects": queried(binary=False, objects=True),
    "copy": copied(""),
    "copy_binary": copied("(FORMAT binary)"),
    "flight": flown,
    "csv": downloaded("csv"),
    "arrow": downloaded("arrow"),
}

if __name__ == "__main__":
    main()
