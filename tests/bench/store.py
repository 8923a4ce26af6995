"""A SeaweedFS for one measurement, which counts what it is asked."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

TESTS = pathlib.Path(__file__).parent.parent
BUCKET, KEY, SECRET = "lake", "bench", "only-on-this-machine"
PORTS = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
         "filer.port.grpc", "metricsPort"]
COUNTED = re.compile(r'^SeaweedFS_s3_request_total\{.*type="(\w+)"\} (\d+)$', re.MULTILINE)


@contextlib.contextmanager
def store(folder):
    """Runs with an empty bucket, whose place and keys are in the environment; gives a function that counts GETs."""
    python = subprocess.run([TESTS / "venv", "stores", TESTS / "stores/requirements.txt"], capture_output=True, text=True,
                            check=True).stdout.strip()
    (folder / "data").mkdir(parents=True)
    keys = {"name": "bench", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [keys]}))
    ports = dict(zip(PORTS, free_ports(len(PORTS))))
    options = {"dir": folder / "data", "s3.config": folder / "s3.json", "ip": "127.0.0.1", "ip.bind": "127.0.0.1",
               "metricsIp": "127.0.0.1", "master.telemetry": "false", "s3.port.iceberg": 0, "s3.port.lance": 0,
               "volume.max": 0, **ports}
    command = [pathlib.Path(python).with_name("weed"), "server", "-s3", *(f"-{k}={v}" for k, v in options.items())]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                  env=os.environ | {"TMPDIR": str(folder)})
    before = os.environ.copy()
    try:
        until_ready(f"http://127.0.0.1:{ports['filer.port']}/buckets/{BUCKET}/ready", server, folder / "log")
        os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="us-east-1", AWS_ALLOW_HTTP="true",
                          AWS_ENDPOINT_URL=f"http://127.0.0.1:{ports['s3.port']}")
        yield lambda: gets(f"http://127.0.0.1:{ports['metricsPort']}/metrics")
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.kill()
        server.wait()


@contextlib.contextmanager
def delayed(seconds):
    """Runs with the same store as if it were far away: so long is added to each request."""
    before = os.environ["AWS_ENDPOINT_URL"]
    script = pathlib.Path(__file__).with_name("latency.py")
    command = [sys.executable, script, before.rsplit(":", 1)[1], str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as relay:
        try:
            os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{int(relay.stdout.readline())}"
            yield
        finally:
            os.environ["AWS_ENDPOINT_URL"] = before
            relay.kill()


def until_ready(file, server, log):
    """The first file makes the bucket."""
    begun = time.monotonic()
    while True:
        try:
            return urllib.request.urlopen(urllib.request.Request(file, data=b"ready", method="PUT")).close()
        except urllib.error.URLError:
            if server.poll() is not None or time.monotonic() > begun + 90:
                raise SystemExit(f"no SeaweedFS\n{log.read_text()[-2000:]}") from None
            time.sleep(0.2)


def gets(metrics):
    with urllib.request.urlopen(metrics) as answer:
        return sum(int(count) for kind, count in COUNTED.findall(answer.read().decode()) if kind == "GET")


def free_ports(count):
    """All are held until all are known."""
    with contextlib.ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
