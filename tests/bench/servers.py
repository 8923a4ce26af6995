"""Servers for one measurement: `rejoin serve` with all its doors, and PostgreSQL. Both listen on this machine only, and end with
it."""

import contextlib
import os
import pathlib
import pwd
import re
import signal
import subprocess
import tempfile
import time

from store import free_ports

PASSWORD = "only on this machine"
DOORS = {"postgres": "Postgres at", "flight": "Flight SQL at", "http": "web page at"}
# where Debian's packages have the programs of a server: /usr/lib/postgresql/15/bin
POSTGRES = pathlib.Path("/usr/lib/postgresql")
# all rows fit, and nothing waits for the disk
MEMORY = ["shared_buffers=1GB", "fsync=off"]
LONGEST_START = 60


@contextlib.contextmanager
def serving(rejoin, folder, users, *options):
    """Opens every door to some users; gives the ports by door, and the server's process."""
    folder.mkdir(parents=True)
    known, log = folder / "users.json", folder / "log"
    for user in users:
        rejoin.run("user", "add", user, "--users", known, text=f"{PASSWORD}\n")
    doors = [option for door in DOORS for option in (f"--{door}", "0")]
    command = rejoin.command("serve", "--users", known, *doors, *options)
    with open(log, "w") as out:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until(lambda: len(ports(log)) == len(DOORS), server, log)
        yield ports(log) | {"process": server.pid}
    finally:
        end(server, signal.SIGTERM)


def ports(log):
    """The ports of the doors that say where they are."""
    text = log.read_text()
    found = {door: re.search(rf"{sign} \S*127\.0\.0\.1:(\d+)\S*\n", text) for door, sign in DOORS.items()}
    return {door: int(match[1]) for door, match in found.items() if match}


def postgres_programs():
    """The folder with the programs of the newest PostgreSQL server; None where there is none."""
    versions = [path.parent for path in POSTGRES.glob("*/bin/postgres")]
    return max(versions, key=lambda folder: float(folder.parent.name), default=None)


@contextlib.contextmanager
def postgres(programs):
    """A new PostgreSQL server with an empty database; gives how to connect. Root has an unprivileged user run it, as it must be."""
    with tempfile.TemporaryDirectory(prefix="rejoin-bench-") as folder:
        runs_as = owner()
        data, log, password = (pathlib.Path(folder, name) for name in ("data", "log", "password"))
        password.write_text(PASSWORD)
        if runs_as:
            for path in (folder, password):
                os.chown(path, runs_as["user"], runs_as["group"])
        init = [programs / "initdb", "-D", data, "-U", "bench", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8",
                "--locale=C", "--no-sync"]
        with open(log, "w") as out:
            made = subprocess.run(init, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, **runs_as)
            if made.returncode:
                raise SystemExit(f"no PostgreSQL\n{log.read_text()[-2000:]}")
            [port] = free_ports(1)
            settings = [*MEMORY, "listen_addresses=127.0.0.1", "unix_socket_directories="]
            command = [programs / "postgres", "-D", data, "-p", str(port), *(f"--{setting}" for setting in settings)]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, **runs_as)
        try:
            asked = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            until(lambda: subprocess.run(asked).returncode == 0, server, log)
            yield {"port": port, "user": "bench", "password": PASSWORD, "dbname": "postgres"}
        finally:
            # lets nobody finish
            end(server, signal.SIGINT)


def owner():
    """Who runs a server, as options of subprocess: whoever runs this, unless it is root."""
    if os.geteuid():
        return {}
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def until(ready, server, log):
    begun = time.monotonic()
    while not ready():
        if server.poll() is not None or time.monotonic() > begun + LONGEST_START:
            raise SystemExit(f"{server.args[0]} does not serve\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def end(server, how):
    server.send_signal(how)
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
