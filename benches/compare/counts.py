"""Instructions and cache misses of a handshake, which do not depend on the machine's mood.

Counted by callgrind: what the program does, without the system's share.
"""

import contextlib
import re
import shutil
import subprocess
import sys
import time

# A simulated cache of two levels, of a size that a core has to itself.
CACHE = ["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"]
HINT = "counting needs valgrind with its callgrind_control: apt-get install valgrind, or https://valgrind.org/downloads/"


def possible():
    return all(map(shutil.which, ("valgrind", "callgrind_control")))


def wrapper(folder):
    """What to put in front of a command so that it can be counted."""
    if not possible():
        sys.exit(HINT)
    return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", *CACHE, f"--callgrind-out-file={folder}/counted.%p"]


def handshakes(instance, hosts, seconds):
    """What one handshake with upgrade and Close takes, of `hosts` hosts in turn, counted over so many seconds."""
    work = ["handshake", "--hosts", hosts]
    # Once around, so that what is met for the first time does not count.
    instance.load(work, seconds / 5)
    with counted(instance) as silence:
        time.sleep(seconds / 2)
    with counted(instance) as load:
        count = instance.load(work, seconds)["in_all"]
    # What is done by the clock would weigh a hundred times as much here as in real time.
    periods = load.pop("seconds") / silence.pop("seconds")
    each = {name: (value - silence[name] * periods) / count for name, value in load.items()}
    return {
        "instructions": each["Ir"],
        "data": each["DLmr"] + each["DLmw"],
        "code": each["ILmr"],
    }


@contextlib.contextmanager
def counted(instance):
    """Counts events, and seconds, while the block lasts; what it gives is filled behind it."""
    events, pid = {}, instance.process.pid

    def control(*words):
        subprocess.run(["callgrind_control", *words, str(pid)], check=True, capture_output=True)

    control("-i", "on")
    started = time.monotonic()
    yield events
    control("-i", "off")
    events["seconds"] = time.monotonic() - started
    control("-d")
    # Every dump is a file of its own, numbered from 1, beside an empty one for the end.
    dumps = list(instance.ready.folder.glob(f"counted.{pid}.*"))
    text = (instance.ready.folder / f"counted.{pid}.{len(dumps)}").read_text(encoding="utf-8", errors="replace")
    names = re.search(r"^events: (.*)$", text, re.MULTILINE)[1].split()
    totals = re.search(r"^totals: (.*)$", text, re.MULTILINE)[1].split()
    events.update(zip(names, map(int, totals)))
