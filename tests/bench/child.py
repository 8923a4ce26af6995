"""Runs a program, or a script of this folder, and says how long it took, how long processors worked on it, and how much memory it
held at its peak."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass
class Done:
    output: str
    seconds: float
    # largest resident set. A child begins with its parent's, so this process must stay small: it imports no library.
    peak_bytes: int
    # of all cores
    processor_seconds: float


def run(command, text=""):
    """The program's stdout; a failure ends the benchmark with what the program said."""
    scratch = tempfile.TemporaryFile
    with scratch("w+") as given, scratch("w+") as out, scratch("w+") as err:
        given.write(text)
        given.seek(0)
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdin=given, stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            sys.exit(f"{' '.join(map(str, command))}: exit code {child.returncode}\n{err.read()[-4000:]}")
        return Done(out.read(), seconds, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)


def python(script, *arguments):
    """A script of this folder, in a process of its own."""
    return run([sys.executable, pathlib.Path(__file__).with_name(script), *map(str, arguments)])
