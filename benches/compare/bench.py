"""The processes of a measurement: built, started, pinned to cores, loaded and ended."""

import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import proxies

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def add_arguments(parser):
    """What every command takes that measures."""
    parser.add_argument("--cores", help="of the proxy and of the load; default: the last two")
    parser.add_argument("--tidegate", type=pathlib.Path, help="a binary to measure instead of building one")
    parser.add_argument("--tool", type=pathlib.Path, help="the tools, instead of building them")
    parser.add_argument("--output", type=pathlib.Path, help="folder for what is written, as in docs")
    parser.add_argument("--json", type=pathlib.Path, help="file for every single result")


@contextlib.contextmanager
def prepared(chosen):
    """A bench with credentials and a backend; it ends all that it started."""
    needed = ["taskset"] if chosen.tidegate and chosen.tool else ["taskset", "cargo"]
    for name in needed:
        if shutil.which(name) is None:
            sys.exit(f"{name} is needed and not in PATH")
    allow_open_files()
    tidegate, tool = build(chosen.tidegate, chosen.tool)
    with tempfile.TemporaryDirectory(prefix="tidegate-compare-") as folder:
        bench = Bench(chosen, pathlib.Path(folder), tidegate, tool)
        try:
            bench.prepare()
            yield bench
        finally:
            bench.end()


def allow_open_files():
    """Raises the limit of open files as far as it goes, for this process and all that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def build(tidegate, tool):
    """Builds the proxy and the tools, unless they are given, and gives where they are."""
    cargo = ["cargo", "build", "--release", "--quiet"]
    if tidegate is None:
        subprocess.run([*cargo, "--bin", "tidegate"], cwd=ROOT, check=True)
    if tool is None:
        subprocess.run([*cargo, "--example", "compare"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    tidegate, tool = tidegate or target / "tidegate", tool or target / "examples" / "compare"
    return tidegate.resolve(), tool.resolve()


def cpu_seconds(process):
    """CPU time of all threads of a process so far."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def outgoing_ports():
    """The first and the last port that the system gives to outgoing connections."""
    first, last = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return int(first), int(last)


def free_port():
    """A port to listen on, where possible one that no outgoing connection can take before."""
    first, _ = outgoing_ports()
    for port in [*random.sample(range(first - 5000, first), 100), 0] if first > 10000 else [0]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise RuntimeError("no port is free to listen on")


class Bench:
    """The running processes, and how one thing is measured."""

    def __init__(self, chosen, folder, tidegate, tool):
        self.folder, self.tidegate, self.tool = folder, tidegate, tool
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            sys.exit("two cores are needed: one for the proxy, one for load and backend")
        cores = chosen.cores or f"{available[-1]},{available[-2]}"
        self.proxy_core, self.load_core = cores.split(",")
        self.certs = folder / "certs"
        self.backend_port = free_port()
        self.log = open(folder / "log", "w", encoding="utf-8")
        self.running = []

    def start(self, core, command, port, environment=None):
        process = subprocess.Popen(
            ["taskset", "-c", core, *map(str, command)],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), **(environment or {})},
        )
        self.running.append(process)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process
            time.sleep(0.05)
        raise RuntimeError(f"{command[0]} does not listen; see {self.log.name}")

    def stop(self, process):
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.running.remove(process)

    def prepare(self):
        subprocess.run(
            [self.tidegate, "certs", "init", "--dir", self.certs], check=True, stdout=subprocess.DEVNULL
        )
        proxies.write_shared_files(self.certs)
        address = f"127.0.0.1:{self.backend_port}"
        self.start(self.load_core, [self.tool, "backend", address], self.backend_port)

    def start_proxy(self, proxy, **more):
        """Starts a proxy with a folder of its own, and waits until messages pass through it."""
        port = free_port()
        folder = self.folder / f"{proxy.name}-{port}"
        folder.mkdir()
        values = {"port": port, "backend": self.backend_port, "certs": self.certs, "folder": folder, **more}
        command = proxy.write_files(folder, values)
        process = self.start(self.proxy_core, command, port, proxy.environment)
        self.load(proxy, process, port, ["probe"], 0)
        return process, port

    def load_command(self, proxy, process, port, work, seconds=0):
        command = [
            "taskset", "-c", self.load_core, str(self.tool), *map(str, work),
            "--address", f"127.0.0.1:{port}", "--pid", str(process.pid), "--seconds", str(seconds),
        ]
        return command + (["--credentials", str(self.certs)] if proxy.tls else [])

    def load(self, proxy, process, port, work, seconds):
        command = self.load_command(proxy, process, port, work, seconds)
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=300)
        return result_of(answer.stdout, f"{proxy.name}, {' '.join(map(str, work))}")

    def end(self):
        for process in list(self.running):
            self.stop(process)


def result_of(text, what):
    """The result that a tool printed."""
    result = json.loads(text or "{}")
    if "error" in result or not result:
        raise RuntimeError(f"{what}: {result.get('error', 'no result')}")
    return result
