"""What is measured beside the questions: loading, rebuilding, memory, one visitor, start-up.

Each function gives rows of the second table: what, how much, the target, and whether it is met.
"""

import json
import re
import sys

import child
from rejoin import Rejoin, sql
from report import in_megabytes, in_seconds
from workloads import BY_NAME

PARTICIPATION = sql(BY_NAME["visitor_page_orders"])
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}


def step(what, value, target="", met=None, **figures):
    return {"what": what, "value": value, "target": target, "met": met, **figures}


def loading(bench):
    """Loading, its size, compaction, and the first rebuild, which is a full one."""
    taken, size = bench.taken["ingest"], bench.rejoin.live_bytes("hits")
    ingest, hits = in_seconds(taken), in_megabytes(size)
    peer = None
    if not bench.skip_peers:
        peer = json.loads(child.python("peers.py", "copy", bench.data, bench.threads).output)
        ingest += f"; DuckDB, unsorted: {in_seconds(peer['seconds'])}"
        hits += f"; {size / peer['bytes']:.2f}x of DuckDB's"
    rows = [
        step("ingest of the hits from daily Parquet", ingest, seconds=taken, peer=peer),
        step("size of the hits as zstd Parquet", hits, "at most 1x", peer and size <= peer["bytes"], bytes=size),
    ]
    rows += [step(f"{name}, all", in_seconds(bench.taken[name]), seconds=bench.taken[name])
             for name in ("compact", "rebuild") if name in bench.taken]
    return rows


def rebuild_again(bench):
    before = bench.rejoin.files()
    taken = bench.rejoin.run("rebuild").seconds
    changed = len(bench.rejoin.files().items() ^ before.items())
    value, met = f"{in_seconds(taken)}, {changed} files changed", taken < 1 and not changed
    return [step("rebuild with nothing new", value, "under 1 s, none", met, seconds=taken, files=changed)]


def memory(bench):
    """Resident memory of a process that answers one question, with the default limit and with a small one."""
    peak = bench.rejoin.query(PARTICIPATION).peak_bytes
    small = bench.rejoin.query(PARTICIPATION, "--memory", "256MB").peak_bytes
    return [
        step("memory of visitor_page_orders", in_megabytes(peak), "at most 300 MB", peak <= 300e6, bytes=peak),
        step("with --memory 256MB", in_megabytes(small), "finishes", True, bytes=small),
    ]


def journey(bench):
    """One visitor's rows: the bytes that are read, and the time against a scan of the same columns of all visitors."""
    visitor = json.loads(bench.rejoin.query("SELECT min(visitor_id) AS id FROM hits").output)["id"]
    one = f"SELECT hit_time, page_name, orders FROM events WHERE visitor_id = '{visitor}' ORDER BY hit_time"
    plan = bench.rejoin.query(f"EXPLAIN ANALYZE {one}").output
    read = sum(float(number) * UNITS[unit] for number, unit in re.findall(r"bytes_scanned=([\d.]+) ?([KMG]?)", plan))
    share = read / bench.rejoin.live_bytes("hits")
    everyone = "SELECT max(hit_time), max(page_name), max(orders) FROM events"
    (taken, _), (scan, _) = bench.rejoin.time([one, everyone], bench.runs)
    taken, scan = min(taken), min(scan)
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
    """A data feed to a sorted, committed lake; DuckDB only copies its fields to Parquet. One hit per visitor of --visitors."""
    folder = bench.folder / f"feed-{bench.visitors}"
    shop = Rejoin(bench.rejoin.binary, folder, bench.threads)
    if not (folder / "made").exists():
        shop.run("sample", folder / "sample", "--hits", str(bench.visitors), "--days", "30")
        (folder / "made").touch()
    shop.create()
    shop.run("suite", "create", "shop")
    taken = shop.run("ingest", folder / "sample/feed").seconds
    what, value = "ingest of a data feed", f"{in_seconds(taken)} for {bench.visitors:,} hits"
    if bench.skip_peers:
        return [step(what, value, seconds=taken)]
    command = ["peers.py", "copy-feed", folder / "sample/feed", folder / "copy.parquet", bench.threads]
    peer = json.loads(child.python(*command).output)
    rows = json.loads(shop.query("SELECT count(*) AS n FROM hits").output)["n"]
    if not 0.95 * rows <= peer["rows"] <= rows:
        sys.exit(f"{folder}/sample/feed: {rows} hits for Rejoin, {peer['rows']} for DuckDB")
    ratio = peer["seconds"] / taken
    value += f"; DuckDB, unsorted: {in_seconds(peer['seconds'])}, {ratio:.2f}x"
    return [step(what, value, "1x", ratio >= 1, seconds=taken, peer=peer)]


def more_offline(bench):
    """A rebuild after 1 % more offline records. It changes the answers, so it comes last."""
    bench.rejoin.ingest_offline(bench.data / "offline/more.parquet")
    before = bench.rejoin.files("hits")
    taken = bench.rejoin.run("rebuild").seconds
    changed = len(bench.rejoin.files("hits").items() ^ before.items())
    share = taken / bench.taken["rebuild"]
    value = f"{in_seconds(taken)}, {100 * share:.0f} % of all; {changed} files of hits changed"
    met = share <= 0.1 and not changed
    return [step("rebuild after 1 % more offline", value, "at most 10 %, none", met, seconds=taken, files=changed)]


# in the order in which they can be taken
STEPS = {
    "loading": loading,
    "rebuild": rebuild_again,
    "memory": memory,
    "journey": journey,
    "start": start,
    "feed": feed,
    "more_offline": more_offline,
}
