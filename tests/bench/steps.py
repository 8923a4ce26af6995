"""What is measured beside the questions: loading, rebuilding, memory, one visitor, start-up, the doors of a server.

Each function gives rows of the second table: what, how much, the target, and whether it is met.
"""

import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import child
from peers import MAPPED
from rejoin import Rejoin, sql
from report import in_megabytes, in_seconds
from servers import PASSWORD, postgres, postgres_programs, serving
from store import delayed, store
from workloads import BY_NAME

PARTICIPATION = sql(BY_NAME["visitor_page_orders"])
# questions, the tables that they read, and of those the columns beside the dimension and the metric
IN_A_BUCKET = {
    "scan_page": (["hits"], ["visitor_id", "hit_time"]),
    "visitor_page_orders": (["hits", "integrated"], ["visitor_key"]),
    "linear_30d_page_orders": (["hits", "integrated"], ["visitor_key", "hit_time"]),
}
# added to each request, as of a store that is far away
DELAY = 0.03
# the questions that are asked by person, too
BY_PERSON = ["visitor_page_orders", "visitor_campaign_orders", "visitor_page_returns", "linear_30d_page_orders"]
# what users ask at once
DIFFERENT = [
    sql(BY_NAME[name])
    for name in ("visitor_page_orders", "visit_page_orders", "visitor_page_returns", "visitor_campaign_orders",
                 "linear_30d_page_orders", "decay_30d_campaign_revenue", "funnel_30d", "paths_30d_campaign_orders")
]
# what is asked through the doors of a server
COLUMNS = ["visitor_id", "hit_time", "visit_num", "page_name", "tracking_code", "transaction_id", "orders", "revenue", "row_kind",
           "match_status"]
MOST_ROWS = 1_000_000
# by Postgres' protocol
BY_WIRE = {
    "text": "in text",
    "binary": "in binary",
    "objects": "in text, as Python's values",
    "copy": "by COPY, text",
    "copy_binary": "by COPY, binary",
}
USERS = [f"user{number}" for number in range(8)]
# of each user
ANSWERS = 10
# connections and statements of a day, and the memory of the server that has it
DAY = (10_000, 100_000)
DAY_MEMORY, DAY_MEMORY_BYTES = "512MiB", 512 * 2**20
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}


def step(what, value, target="", met=None, **figures):
    return {"what": what, "value": value, "target": target, "met": met, **figures}


def loading(bench):
    """Loading, its size, and compaction."""
    taken, size = bench.taken["ingest"], bench.rejoin.live_bytes("hits")
    # beside the columns of the input: the visitor's key, the sequence, the file, and some that are constant here
    same = bench.rejoin.column_bytes("hits", MAPPED.split(", "))
    ingest, hits = in_seconds(taken), f"{in_megabytes(size)}, the input's columns {in_megabytes(same)}"
    peer = None
    if not bench.skip_peers:
        file = bench.work / "copy.parquet"
        peer = json.loads(child.python("peers.py", "copy", bench.data, file, bench.threads).output)
        ingest += f"; DuckDB, unsorted: {in_seconds(peer['seconds'])}"
        hits += f"; {size / peer['bytes']:.2f}x and {same / peer['bytes']:.2f}x of DuckDB's"
    rows = [
        step("ingest of the hits from daily Parquet", ingest, seconds=taken, peer=peer),
        step("size of the hits as zstd Parquet", hits, "same columns at most 1x", peer and same <= peer["bytes"], bytes=size,
             same_bytes=same),
    ]
    if "compact" in bench.taken:
        rows.append(step("compaction", in_seconds(bench.taken["compact"]), seconds=bench.taken["compact"]))
    return rows


def memory(bench):
    """Resident memory of a process that answers one question, with the default limit and with a small one."""
    peak = bench.rejoin.query(PARTICIPATION).peak_bytes
    small = bench.rejoin.query(PARTICIPATION, "--memory", "256MB").peak_bytes
    return [
        step("memory of visitor_page_orders", in_megabytes(peak), "at most 300 MB", peak <= 300e6, bytes=peak),
        step("with --memory 256MB", in_megabytes(small), "finishes", True, bytes=small),
    ]


def journey(bench):
    """The rows of one visitor, another one each time: the bytes that are read, and the time against a scan of the same columns of all
    visitors."""
    some = f"SELECT visitor_id AS id FROM hits GROUP BY 1 ORDER BY md5(visitor_id) LIMIT {bench.runs + 1}"
    visitors = [json.loads(line)["id"] for line in bench.rejoin.query(some).output.splitlines()]
    columns = "SELECT hit_time, page_name, orders FROM events WHERE visitor_id ="
    questions = [f"{columns} '{visitor}' ORDER BY hit_time" for visitor in visitors]
    plans = "".join(bench.rejoin.query(f"EXPLAIN ANALYZE {question}").output for question in questions)
    read = sum(float(number) * UNITS[unit] for number, unit in re.findall(r"bytes_scanned=([\d.]+) ?([KMG]?)", plans))
    read /= len(questions)
    share = read / bench.rejoin.live_bytes("hits")
    everyone = "SELECT max(hit_time), max(page_name), max(orders) FROM events"
    (taken, _), (scan, _) = bench.rejoin.time([questions, everyone], bench.runs)
    # the best of several visitors would be that of the shortest journey
    taken, scan = statistics.median(taken), statistics.median(scan)
    times = f"{in_seconds(taken)}; all visitors {in_seconds(scan)}, {scan / taken:.0f}x"
    return [
        step("one visitor's journey, bytes read", f"{100 * share:.2f} %", "at most 2 %", share <= 0.02, bytes=read),
        step("one visitor's journey, time", times, "50x", scan >= 50 * taken, seconds=taken, all_seconds=scan),
    ]


def start(bench):
    rows = []
    for arguments, most in (["query", "SELECT 1"], 0.1), (["--help"], 0.02):
        taken = min(bench.rejoin.run(*arguments).seconds for _ in range(bench.runs + 1))
        what = " ".join(["rejoin", *arguments])
        rows.append(step(what, in_seconds(taken), f"under {most:.3f} s", taken < most, seconds=taken))
    return rows


def feed(bench):
    """A data feed, a hit for each of --visitors, to a sorted, committed lake; DuckDB copies its fields to Parquet."""
    shop = Rejoin(bench.rejoin.binary, bench.work / "shop", bench.threads)
    shop.create()
    shop.run("suite", "create", "shop")
    shop.run("sample", shop.folder / "sample", "--hits", str(bench.visitors), "--days", "30")
    files = shop.folder / "sample/feed"
    taken = shop.run("ingest", files).seconds
    what, value = "ingest of a data feed", f"{in_seconds(taken)} for {bench.visitors:,} hits"
    if bench.skip_peers:
        return [step(what, value, seconds=taken)]
    peer = json.loads(child.python("peers.py", "copy-feed", files, bench.work / "feed.parquet", bench.threads).output)
    rows = json.loads(shop.query("SELECT count(*) AS n FROM hits").output)["n"]
    if not 0.95 * rows <= peer["rows"] <= rows:
        sys.exit(f"the feed: {rows} hits for Rejoin, {peer['rows']} for DuckDB")
    ratio = peer["seconds"] / taken
    value += f"; DuckDB, unsorted: {in_seconds(peer['seconds'])}, {ratio:.2f}x"
    return [step(what, value, "2x", ratio >= 2, seconds=taken, peer=peer)]


def wide(bench):
    """Three deliveries of a feed of 1,053 columns, of which 137 are filled, a fifth of --visitors hits each: loaded in 1 GiB,
    beside DuckDB's copy of the same files, and the first rows of its lake."""
    lake = Rejoin(bench.rejoin.binary, bench.work / "wide", bench.threads)
    lake.create()
    lake.run("suite", "create", "wide")
    files, each = lake.folder / "feed", max(1000, bench.visitors // 5)
    child.python("wide.py", each, 3, files)
    loaded = lake.run("ingest", files, "--memory", "1GiB")
    size, hits, peak = lake.live_bytes("hits"), 3 * each, loaded.peak_bytes
    busy = loaded.processor_seconds / loaded.seconds
    what, value = "ingest of a wide feed", f"{in_seconds(loaded.seconds)} for {hits:,} hits, {busy:.1f} cores busy"
    figures = {"seconds": loaded.seconds, "processor_seconds": loaded.processor_seconds}
    most = 2**30 + 200e6
    rows = [
        step("memory of it with --memory 1GiB", in_megabytes(peak), f"at most {in_megabytes(most)}", peak <= most, bytes=peak),
    ]
    first = [lake.query("SELECT * FROM events LIMIT 10") for _ in range(bench.runs + 1)]
    taken, peak = min(done.seconds for done in first), max(done.peak_bytes for done in first)
    rows.append(step("SELECT * FROM events LIMIT 10 there", f"{in_seconds(taken)}, {in_megabytes(peak)}", "0.1 s, 150 MB",
                     taken <= 0.1 and peak <= 150e6, seconds=taken, bytes=peak))
    if bench.skip_peers:
        return [step(what, value, **figures), *rows]
    peer = json.loads(child.python("peers.py", "copy-feed", files, bench.work / "wide.parquet", bench.threads).output)
    if peer["rows"] != hits:
        sys.exit(f"the wide feed: {hits} hits for Rejoin, {peer['rows']} for DuckDB")
    ratio, share = peer["seconds"] / loaded.seconds, size / peer["bytes"]
    value += f"; DuckDB, unsorted: {in_seconds(peer['seconds'])}, {ratio:.2f}x"
    stored = f"{size / hits:.0f} bytes a hit, {share:.2f}x of DuckDB's"
    return [
        step(what, value, "2x", ratio >= 2, peer=peer, **figures),
        step("size of its hits", stored, "at most 1x", share <= 1, bytes=size),
        *rows,
    ]


def s3(bench):
    """The same lake in a bucket of SeaweedFS: the time against the folder's, taken in turn, and the GETs of a process that
    answers one question, against the chunks of its columns and the files. Then as if the bucket were far away: the time against
    the processors'."""
    rows = []
    with store(bench.work / "store") as gets:
        there = Rejoin(bench.rejoin.binary, bench.work / "bucket", bench.threads, "s3://lake/bench")
        there.create()
        taken = {"ingest": there.ingest_hits(bench.data / "hits").seconds}
        there.ingest_offline(bench.data / "offline/offline.parquet")
        taken["rebuild"] = there.run("rebuild", "--no-compact").seconds
        taken["compact"] = there.run("compact").seconds
        for what, seconds in taken.items():
            rows.append(compared(f"{what} in a bucket", seconds, bench.taken[what]))
        for name, (tables, others) in IN_A_BUCKET.items():
            workload = BY_NAME[name]
            turns = [[lake.query(sql(workload)).seconds for lake in (bench.rejoin, there)] for _ in range(bench.runs + 1)]
            here, seconds = map(min, zip(*turns[1:]))
            before = gets()
            there.query(sql(workload))
            asked, columns = gets() - before, [workload.dimension, workload.metric, *others]
            files = sum(len(bench.rejoin.live_files(table)) for table in tables)
            chunks = sum(1 for table in tables for _ in bench.rejoin.chunks(table, columns))
            rows.append(compared(f"{name} in a bucket", seconds, here))
            most = 2 * chunks + 2 * files
            value = f"{asked} for {chunks} chunks in {files} files"
            rows.append(step(f"{name} in a bucket, GETs", value, f"at most {most}", asked <= most, gets=asked))
        with delayed(DELAY):
            for name in IN_A_BUCKET:
                turns = [there.query(sql(BY_NAME[name])) for _ in range(bench.runs + 1)]
                done = min(turns[1:], key=lambda done: done.seconds)
                ratio = done.seconds / done.processor_seconds
                value = f"{in_seconds(done.seconds)}; processors {in_seconds(done.processor_seconds)}, {ratio:.2f}x"
                rows.append(step(f"{name} in a bucket, each request {1000 * DELAY:.0f} ms longer", value, "at most 1.25x",
                                 ratio <= 1.25, seconds=done.seconds, processor_seconds=done.processor_seconds))
    return rows


def compared(what, there, here):
    value = f"{in_seconds(there)}; in a folder {in_seconds(here)}, {there / here:.2f}x"
    return step(what, value, "at most 1.5x", there <= 1.5 * here, seconds=there, folder_seconds=here)


def rebuild(bench):
    """Everything, with nothing new, and after 1 % more offline records: these change the answers, so it comes last."""
    full = bench.rejoin.run("rebuild", "--full").seconds
    before = bench.rejoin.files()
    again = bench.rejoin.run("rebuild").seconds
    written = changed(before, bench.rejoin.files())
    bench.rejoin.ingest_offline(bench.data / "offline/more.parquet")
    before = bench.rejoin.files("hits")
    more = bench.rejoin.run("rebuild").seconds
    touched = changed(before, bench.rejoin.files("hits"))
    nothing_new = f"{in_seconds(again)}, {written} files written"
    little_new = f"{in_seconds(more)}, {100 * more / full:.0f} % of all, {touched} files of hits written"
    return [
        step("rebuild of everything", in_seconds(full), seconds=full),
        step("rebuild with nothing new", nothing_new, "under 1 s, none", again < 1 and not written, seconds=again),
        step("rebuild after 1 % more offline records", little_new, "at most 10 %, none",
             more <= 0.1 * full and not touched, seconds=more),
    ]


def persons(bench):
    """The same rows with customer IDs: questions by person beside those by visitor, rebuilds with persons beside those without,
    and one after 1 % more logins."""
    lake = Rejoin(bench.rejoin.binary, bench.work / "persons", bench.threads)
    lake.create(customers=True)
    lake.ingest_hits(bench.data / "hits")
    lake.ingest_offline(bench.data / "offline/offline.parquet")
    lake.run("rebuild")
    lake.run("compact")
    off = lake.run("rebuild", "--full").seconds
    lake.run("suite", "set", "bench", "--persons", "device_split")
    on = lake.run("rebuild", "--full").seconds
    rows = [
        step("rebuild of everything with persons", f"{in_seconds(on)}; without {in_seconds(off)}, {on / off:.2f}x", "at most 1.3x",
             on <= 1.3 * off, seconds=on, without_seconds=off),
    ]
    for name in BY_PERSON:
        workload = BY_NAME[name]
        turns = [lake.time([sql(workload), sql(workload, "person")], 1) for _ in range(bench.runs)]
        visitor, person = (min(turn[which][0][0] for turn in turns) for which in (0, 1))
        value = f"{in_seconds(person)}; by visitor {in_seconds(visitor)}, {person / visitor:.2f}x"
        rows.append(step(f"{name} by person", value, "at most 1.5x", person <= 1.5 * visitor, seconds=person,
                         visitor_seconds=visitor))
    lake.ingest_hits(bench.data / "logins/more.parquet")
    more = lake.run("rebuild").seconds
    value = f"{in_seconds(more)}, {100 * more / on:.0f} % of all"
    rows.append(step("rebuild after 1 % more logins", value, "at most 15 %", more <= 0.15 * on, seconds=more))
    return rows


def doors(bench):
    """A million rows by each door of `rejoin serve`, beside a file, and beside PostgreSQL where the programs of its server are
    installed, which then has the same rows; and eight users who ask all the time."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM events LIMIT {MOST_ROWS}"
    file = bench.work / "rows.arrow"
    taken = min(bench.rejoin.run("query", sql, "-o", file).seconds for _ in range(bench.runs + 1))
    file.unlink()
    with contextlib.ExitStack() as servers:
        ports = servers.enter_context(serving(bench.rejoin, bench.work / "serve", USERS))
        wire = {"port": ports["postgres"], "user": USERS[0], "password": PASSWORD, "dbname": "rejoin"}
        peer, programs = None, postgres_programs()
        if programs:
            peer = servers.enter_context(postgres(programs))
            as_client("load", wire, peer, sql)
        mine = {way: as_client("rows", way, wire, bench.runs, sql) for way in BY_WIRE}
        for way, door in (("flight", "flight"), ("csv", "http"), ("arrow", "http")):
            server = {"port": ports[door], "user": USERS[0], "password": PASSWORD}
            mine[way] = as_client("rows", way, server, bench.runs, sql)
        theirs = {way: as_client("rows", way, peer, bench.runs, "SELECT * FROM events") for way in BY_WIRE if peer}
        answers = as_client("users", [wire | {"user": user} for user in USERS], ANSWERS, PARTICIPATION)
        users = [wire | {"user": user} for user in [*USERS, USERS[0]]]
        at_once = as_client("together", users, bench.runs, "SELECT count(*) FROM hits", DIFFERENT)
    counts = {answer["rows"] for answer in [*mine.values(), *theirs.values()]}
    if len(counts) > 1:
        sys.exit(f"the doors: {mine}\nPostgreSQL: {theirs}")
    [count] = counts
    rows = [sent(f"{count:,} rows of {len(COLUMNS)} columns by rejoin query -o, Arrow", taken, count)]
    for way, words in BY_WIRE.items():
        what, seconds = f"by Postgres' protocol {words}", mine[way]["seconds"]
        if peer:
            rows.append(sent(what, seconds, count, theirs[way]["seconds"], f"PostgreSQL {programs.parent.name}", 1))
        else:
            rows.append(sent(what, seconds, count))
    fastest = min(mine[way]["seconds"] for way in ("text", "binary"))
    rows.append(sent("by Flight SQL", mine["flight"]["seconds"], count, fastest, "Postgres' protocol", 3))
    rows += [sent(f"by HTTP, {way}", mine[way]["seconds"], count) for way in ("csv", "arrow")]
    return rows + fairness(**answers) + side_by_side(**at_once)


def day(bench):
    """A day's work of a server with little memory: connections by all doors, one after the other of each user, and statements of
    fifty kinds (kinds.py), over a lake of its own that is loaded and rebuilt meanwhile. What is resident in the end and at most,
    beside what it was after the first hundred connections. It takes an hour and more, so it must be named to be taken."""
    shop = Rejoin(bench.rejoin.binary, bench.work / "day", bench.threads)
    shop.create()
    shop.run("suite", "create", "shop")
    files = shop.folder / "sample"
    shop.run("sample", files, "--hits", "20000", "--days", "30")
    shop.run("ingest", files / "feed", "--suite", "shop")
    shop.run("source", "create", "shop", "leads", "--kind", "transaction")
    shop.run("ingest", files / "leads", "--suite", "shop", "--source", "leads")
    shop.run("rebuild")
    newest = json.loads(shop.query("SELECT max(file) AS f FROM files WHERE format = 'feed' AND status = 'loaded'").output)["f"]
    over, rebuilt = threading.Event(), []

    def go_on():
        """A day's hits go and come back, and each is rebuilt."""
        while not over.wait(5):
            shop.run("remove", newest, "--suite", "shop")
            shop.run("rebuild")
            shop.run("ingest", files / "feed", "--suite", "shop")
            shop.run("rebuild")
            rebuilt.append(1)

    options = ["--suite", "shop", "--memory", DAY_MEMORY]
    with serving(shop, bench.work / "serve-day", USERS, *options) as ports, ThreadPoolExecutor(1) as beside:
        rebuilds = beside.submit(go_on)
        servers = [
            {
                "postgres": {"port": ports["postgres"], "user": user, "password": PASSWORD, "dbname": "rejoin"},
                **{door: {"port": ports[door], "user": user, "password": PASSWORD} for door in ("flight", "http")},
            }
            for user in USERS
        ]
        try:
            told = as_client("day", servers, ports["process"], *DAY)
        finally:
            over.set()
        rebuilds.result()
    connections, statements = DAY
    first, last, most = told["first"], told["last"], told["most"]
    largest = DAY_MEMORY_BYTES + 300e6
    value = f"{in_megabytes(last)}; after the first hundred connections {in_megabytes(first)}, {last / first:.2f}x"
    what = f"memory after {connections:,} connections and {statements:,} statements in {in_seconds(told['seconds'])}"
    return [
        step(what, f"{value}; {2 * len(rebuilt)} rebuilds", "at most 1.25x", last <= 1.25 * first, **told),
        step(f"most of it, with --memory {DAY_MEMORY}", in_megabytes(most), f"at most {in_megabytes(largest)}", most <= largest,
             bytes=most),
    ]


def sent(what, seconds, count, other=None, whose="", least=0):
    """How fast so many rows came, and how many times as fast as by another way."""
    value = f"{in_seconds(seconds)}, {count / seconds / 1e6:.2f} million a second"
    if other is None:
        return step(what, value, seconds=seconds)
    ratio = other / seconds
    value += f"; {whose} {in_seconds(other)}, {ratio:.2f}x"
    return step(what, value, f"at least {least}x", ratio >= least, seconds=seconds, other_seconds=other)


def fairness(alone, each):
    """Seconds of one user's answers, and of each user's where all ask at once."""
    one, everyone = statistics.median(alone), sorted(seconds for user in each for seconds in user)
    middle, late = statistics.median(everyone), everyone[int(0.95 * (len(everyone) - 1))]
    least, most = min(map(len, each)), max(map(len, each))
    value = f"p50 {in_seconds(middle)}, p95 {in_seconds(late)}; one user {in_seconds(one)}, {late / one:.1f}x"
    return [
        step(f"{len(each)} users who ask visitor_page_orders all the time", value, "p95 at most 8x", late <= 8 * one, alone=one,
             p50=middle, p95=late),
        step("answers of each of them", f"{least} to {most}", "half the most", 2 * least >= most, least=least, most=most),
    ]


def side_by_side(in_turn, at_once, alone, beside):
    """Seconds of different questions, in turn and at once, and of a short one alone and beside them."""
    pairs = [(sum(turn), together) for turn, together in zip(in_turn, at_once)]
    one_by_one, together = min(pairs, key=lambda pair: pair[1] / pair[0])
    quick, late = statistics.median(alone), sorted(beside)[int(0.95 * (len(beside) - 1))]
    value = f"{in_seconds(together)}; one after another {in_seconds(one_by_one)}, {together / one_by_one:.2f}x"
    return [
        step(f"{len(in_turn[0])} different questions at once", value, "at most 1.1x", together <= 1.1 * one_by_one,
             seconds=together, in_turn=one_by_one),
        step("a short one beside them", f"p95 {in_seconds(late)}; alone {in_seconds(quick)}", p95=late, alone=quick),
    ]


def as_client(task, *arguments):
    """What clients.py says, in the environment of the tests of the doors."""
    tests = pathlib.Path(__file__).parent.parent
    made = subprocess.run([tests / "venv", "doors", tests / "doors/requirements.txt"], capture_output=True, text=True)
    if made.returncode:
        sys.exit(made.stderr)
    given = [argument if isinstance(argument, str) else json.dumps(argument) for argument in arguments]
    return json.loads(child.run([made.stdout.strip(), tests / "bench/clients.py", task, *given]).output)


def changed(before, after):
    return len(before.items() ^ after.items())


# in the order in which they can be taken
STEPS = {
    "loading": loading,
    "memory": memory,
    "journey": journey,
    "start": start,
    "feed": feed,
    "wide": wide,
    "s3": s3,
    "persons": persons,
    "doors": doors,
    "day": day,
    "rebuild": rebuild,
}
# only where they are named
LONG = {"day"}
