"""Clients that save their TLS session and try to come in with it later: Python, Node, OpenSSL.

Each has `attempt(how)`, where `how` is `save`, `resume` or `full`. It gives a verdict and whether the session
was resumed. Verdicts: `in, with a certificate`, `in, without a certificate` (as the backend was told), the
status of a refusal, or `no TLS`.
"""

import contextlib
import json
import os
import select
import socket
import ssl
import subprocess
import time

from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from harness import WORK

IN = {True: "in, with a certificate", False: "in, without a certificate"}
NO_TLS = "no TLS"
UPGRADE = (
    "GET /describe HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Client:
    """`chain` and `key` are files; both None: it shows no certificate. `version`: 2 or 3, of TLS 1."""

    def __init__(self, name, folder, root, chain, key, version):
        self.root, self.chain, self.key, self.version = root, chain, key, version
        self.name = f"{type(self).__name__} {name} TLS 1.{version}"
        self.file = folder / f"{self.name.replace(' ', '-')}.session"


class Python(Client):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.context = ssl.create_default_context(cafile=self.root)
        if self.chain:
            self.context.load_cert_chain(self.chain, self.key)
        self.context.minimum_version = self.context.maximum_version = ssl.TLSVersion[f"TLSv1_{self.version}"]
        self.session = None

    def attempt(self, port, how):
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        session = self.session if how == "resume" else None
        try:
            connection = self.context.wrap_socket(raw, server_hostname="localhost", session=session)
        except OSError:
            raw.close()
            return NO_TLS, False
        with connection:
            resumed = connection.session_reused
            return self.converse(port, connection), resumed

    def converse(self, port, connection):
        """In one thread, as reading and writing an SSLSocket in two at once is not safe.

        TLS 1.3 tells of a refused certificate only after the handshake.
        """
        protocol = ClientProtocol(parse_uri(f"ws://localhost:{port}/describe"))
        protocol.send_request(protocol.connect())
        try:
            connection.sendall(b"".join(protocol.data_to_send()))
            response, *frames = self.events(connection, protocol)
        except TimeoutError:
            raise
        except OSError:
            return NO_TLS
        if not frames:
            return str(response.status_code)
        if not self.session:
            self.session = connection.session
        return IN["client-cert" in dict(json.loads(frames[0].data)["fields"])]

    @staticmethod
    def events(connection, protocol):
        """The response and, where it is a 101, the first frame."""
        events = []
        while len(events) < 2 and not protocol.handshake_exc:
            if not (received := connection.recv(65536)):
                raise ConnectionError("the proxy closed")
            protocol.receive_data(received)
            events += protocol.events_received()
        return events


class Node(Client):
    def attempt(self, port, how):
        url = f"wss://localhost:{port}/describe"
        credentials = [self.root, self.chain or "-", self.key or "-"]
        version = f"TLSv1.{self.version}"
        command = ["node", WORK / "resumption.mjs", url, *credentials, version, how, self.file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told["verdict"], told["resumed"]


class OpenSsl(Client):
    def attempt(self, port, how):
        files = {"save": ["-sess_out", self.file], "resume": ["-sess_in", self.file], "full": []}[how]
        shown = ["-cert", self.chain, "-cert_chain", self.chain, "-key", self.key] if self.chain else []
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost"]
        command += ["-CAfile", self.root, f"-tls1_{self.version}", *files, *shown]
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, bufsize=0, **options) as child:
            try:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(UPGRADE.format(port=port).encode())
                said = self.read(child.stdout.fileno())
            finally:
                child.kill()
        return self.verdict(said), b"\nReused, TLSv1." in said

    def read(self, pipe):
        """Until the backend's description is whole, or the proxy's refusal, or the end."""
        said, deadline = b"", time.monotonic() + 10
        while b'"extensions"' not in said and b"\nHTTP/1.1 4" not in said.replace(b"\r", b""):
            ready, _, _ = select.select([pipe], [], [], deadline - time.monotonic())
            assert ready, f"s_client says no more than:\n{said.decode(errors='replace')}"
            if not (more := os.read(pipe, 65536)):
                break
            said += more
        return said

    @staticmethod
    def verdict(said):
        if b"HTTP/1.1 101 " in said:
            return IN[b'"client-cert"' in said]
        _, found, rest = said.partition(b"HTTP/1.1 ")
        return rest[:3].decode() if found else NO_TLS
