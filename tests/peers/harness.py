"""What every peer test needs: free ports, processes ended by their id, credentials, a running tidegate."""

import asyncio
import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import websockets.asyncio.client

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "peers"
MIB = 1024 * 1024


def free_port():
    """A port below the ephemeral range that nobody listens on now."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition, what, seconds=10.0):
    """Asks `condition` until it answers something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if answer := condition():
                return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


async def eventually(condition, what, seconds=10.0):
    """`wait_until` that lets everything else go on."""
    return await asyncio.to_thread(wait_until, condition, what, seconds)


def accepts(port):
    """Whether somebody listens on this port."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


class Process:
    """A child process with its log; ended by its own id."""

    def __init__(self, folder, name, command):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
            )

    def listens(self, port, seconds=10.0):
        def up():
            assert self.child.poll() is None, f"{self.name} ended at once:\n{self.tail()}"
            return accepts(port)

        wait_until(up, f"{self.name} listens on {port}", seconds)
        return self

    def text(self):
        return self.log.read_text(errors="replace")

    def tail(self, lines=30):
        return "\n".join(self.text().splitlines()[-lines:])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def stop(self, number=signal.SIGTERM, seconds=10):
        if self.child.poll() is None:
            self.child.send_signal(number)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode


class Credentials:
    """The folder that certs.sh filled."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["bash", HERE / "certs.sh", folder], check=True)

    def chain(self, name):
        return self.folder / f"{name}.pem"

    def key(self, name):
        return self.folder / f"{name}.key"

    def der(self, name):
        """The leaf of a chain."""
        first = self.chain(name).read_text().split("-----END CERTIFICATE-----")[0]
        return ssl.PEM_cert_to_DER_cert(first + "-----END CERTIFICATE-----\n")

    def context(self, client="client"):
        """What a client trusts and shows; `client=None`: shows nothing."""
        context = ssl.create_default_context(cafile=self.chain("root"))
        if client:
            context.load_cert_chain(self.chain(client), self.key(client))
        return context


TEMPLATE = """
[server]
workers = 2
drain_spread = "0s"
drain_timeout = "3s"

[[listener]]
name = "public"
address = "127.0.0.1:{port}"

[tls]
certificates = [
  {{ chain = "{certs}/server-ecdsa.pem", key = "{certs}/server-ecdsa.key" }},
  {{ chain = "{certs}/server-rsa.pem", key = "{certs}/server-rsa.key" }},
  {{ chain = "{certs}/other.pem", key = "{certs}/other.key" }},
]

[tls.clients]
mode = "required"
ca = ["{certs}/root.pem"]

[admin]
address = "127.0.0.1:{admin}"
"""

# The same with the files that `tidegate certs init` makes.
ONE_CERTIFICATE = (
    TEMPLATE[: TEMPLATE.index("[tls]")]
    + """
[tls]
certificates = [{{ chain = "{certs}/server.pem", key = "{certs}/server.key" }}]

[tls.clients]
mode = "required"
ca = ["{certs}/ca.pem"]

"""
    + TEMPLATE[TEMPLATE.index("[admin]") :]
)


class Tidegate(Process):
    """A running tidegate on free ports; `more` is the rest of its proxy.toml, most of all the routes.

    `wrap` is a command that starts it in its own place, as `env` does.
    """

    def __init__(self, folder, credentials, more, template=TEMPLATE, wrap=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.admin = free_port(), free_port()
        self.credentials = credentials
        self.config = folder / "proxy.toml"
        ours = template.format(port=self.port, admin=self.admin, certs=credentials.folder)
        self.config.write_text(ours + more)
        binary = os.environ["TIDEGATE"]
        command = [*wrap, binary, "run", "--config", self.config, "--log-format", "json"]
        super().__init__(folder, "tidegate", command)
        wait_until(self.ready, "GET /readyz answers 200")

    def ready(self):
        assert self.child.poll() is None, f"tidegate ended at once:\n{self.tail()}"
        return self.ask("GET", "/readyz")[0] == 200

    def ask(self, method, path):
        """One request to the admin listener: status and body."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        ) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def metric(self, name, **labels):
        """The sum of all series of this metric that carry these labels."""
        total = 0.0
        for line in self.ask("GET", "/metrics")[1].splitlines():
            found = re.fullmatch(r"tidegate_(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name:
                series = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                if labels.items() <= series.items():
                    total += float(found[3])
        return total

    def connect(self, path, client="client", **options):
        """A `websockets` client through the proxy."""
        options.setdefault("ssl", self.credentials.context(client))
        return connect(f"wss://localhost:{self.port}{path}", host="127.0.0.1", **options)

    def stop(self, number=signal.SIGTERM, seconds=15):
        code = super().stop(number, seconds)
        assert "panicked" not in self.text(), self.tail()
        assert code == 0, f"tidegate ended with {code}:\n{self.tail()}"
        return code


def connect(url, **options):
    """A `websockets` client that sets no limits of its own."""
    defaults = {"max_size": None, "proxy": None, "open_timeout": 30, "ping_interval": None}
    return websockets.asyncio.client.connect(url, **{**defaults, **options})


def python_backend(folder):
    """The echo backend on `websockets`: its process and its port."""
    port = free_port()
    return Process(folder, "python-backend", [sys.executable, HERE / "backend.py", str(port)]).listens(
        port
    ), port


def node_backend(folder):
    """The echo backend on Node's `ws`: its process and its port."""
    port = free_port()
    return Process(folder, "node-backend", ["node", WORK / "backend.mjs", str(port)]).listens(port), port


def route(path, port, **settings):
    """A route and its backend, as TOML; values are JSON, which TOML reads alike here."""
    name = path.strip("/") or "all"
    extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    return (
        f'\n[[route]]\nname = "{name}"\npath = "{path}"\nbackend = "{name}"\n{extra}'
        f'\n[backend.{name}]\nservers = ["ws://127.0.0.1:{port}"]\n'
    )
