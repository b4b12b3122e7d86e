"""Two thousand open sockets, while certificate, key and CA are rotated fifty times and broken fifty times."""

import datetime
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness import HERE, ONE_CERTIFICATE, Process, Tidegate, route, wait_until

ROUNDS = 50
HOLDERS, EACH = 2, 1_000
FILES = ("server.pem", "server.key", "ca.pem")


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def issue(name, usage=None, issuer=None, days=(-1, 30)):
    """A certificate and its key; without an issuer a CA of its own. `days`: validity, counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer, signing_key = issuer or (None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days[0]))
        .not_valid_after(now + datetime.timedelta(days[1]))
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(signing_key, hashes.SHA256()), key


def text(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Whole:
    """One good set of files: server certificate, key, and CA; and a client that only this CA knows."""

    def __init__(self, number, stable_ca, folder):
        authority = issue(f"root {number}")
        server, server_key = issue("localhost", ExtendedKeyUsageOID.SERVER_AUTH, authority)
        client, client_key = issue(f"client {number}", ExtendedKeyUsageOID.CLIENT_AUTH, authority)
        self.files = {
            "server.pem": text(server),
            "server.key": pem(server_key),
            "ca.pem": stable_ca + text(authority[0]),
        }
        self.fingerprint = server.fingerprint(hashes.SHA256()).hex()
        self.client = folder / f"client-{number}.pem"
        self.client.write_text(text(client) + pem(client_key))


class Live:
    """The folder that the configuration names, in the layout of a Kubernetes volume: `..data` is swapped."""

    def __init__(self, folder):
        self.folder = folder
        self.versions = itertools.count()
        folder.mkdir()
        for name in FILES:
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, files):
        """All files at once, by a symlink."""
        version = self.folder / f"..{next(self.versions)}"
        version.mkdir()
        for name, content in files.items():
            self.write(version / name, content)
        (self.folder / "..new").symlink_to(version.name)
        old = (self.folder / "..data").resolve()
        (self.folder / "..new").replace(self.folder / "..data")
        if old != self.folder / "..data":
            shutil.rmtree(old)

    def overwrite(self, files):
        """One file after the other, in place, with a moment between them in which nothing fits."""
        for name, content in files.items():
            self.write(self.folder / name, content)
            time.sleep(0.02)

    @staticmethod
    def write(path, content):
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content if isinstance(content, bytes) else content.encode())


def broken(good, number):
    """The files of `good` with one thing wrong, and the file that an explanation must name one of."""
    name = FILES[number // 5 % 3]
    kind = ("wrong key", "half", "empty", "expired", "garbage")[number % 5]
    if kind == "wrong key":
        return {**good, "server.key": pem(issue("other")[1])}, ("server.pem", "server.key")
    if kind == "expired":
        certificate, key = issue("localhost", ExtendedKeyUsageOID.SERVER_AUTH, issue("root"), days=(-9, -1))
        return {**good, "server.pem": text(certificate), "server.key": pem(key)}, ("server.pem",)
    content = {"half": good[name][: len(good[name]) // 2], "empty": "", "garbage": os.urandom(2_000)}[kind]
    if kind == "half" and name == "ca.pem":
        content = good[name][:-300]  # the first CA is whole, the second is cut
    return {**good, name: content}, (name, "server.pem", "server.key") if name != "ca.pem" else (name,)


def handshake(port, context):
    """The fingerprint that a new client meets; the answer shows that its own certificate was judged."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 426 ")
        return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()


def trusting_anyone(*chain):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*chain)
    return context


class Prober(threading.Thread):
    """New handshakes all the while."""

    def __init__(self, port, context):
        super().__init__(daemon=True)
        self.port, self.context = port, context
        self.over = threading.Event()
        self.met, self.failures, self.count = set(), [], 0

    def run(self):
        while not self.over.wait(0.05):
            self.count += 1
            try:
                self.met.add(handshake(self.port, self.context))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                self.failures.append(repr(error))


@pytest.fixture(scope="module")
def world(folder, credentials, python_backend):
    """The proxy on a live folder, two thousand echoing sockets, and a prober."""
    stable_ca = credentials.chain("root").read_text()
    wholes = [Whole(number, stable_ca, folder) for number in range(ROUNDS + 1)]
    live = Live(folder / "live")
    live.swap(wholes[0].files)
    proxy = Tidegate(folder, live, route("/", python_backend[1]), ONE_CERTIFICATE)
    trusted = folder / "holders"
    trusted.mkdir()
    for name in ("client.pem", "client.key"):
        shutil.copy(credentials.folder / name, trusted)
    (trusted / "root.pem").write_text(wholes[0].files["ca.pem"])
    yield proxy, live, wholes, trusted
    proxy.stop()


def trigger(proxy, number):
    """Nothing (the watcher must see it), HUP, or a request; the answer to the request."""
    kind = number % 3
    if kind == 1:
        proxy.child.send_signal(signal.SIGHUP)
    return proxy.ask("POST", "/reload") if kind == 2 else None


def rotate(world, number):
    proxy, live, wholes, trusted = world
    ours = wholes[number]
    (live.swap if number % 2 else live.overwrite)(ours.files)
    answer = trigger(proxy, number)
    assert answer is None or answer[0] == 200, answer
    stable = trusting_anyone(trusted / "client.pem", trusted / "client.key")
    wait_until(lambda: handshake(proxy.port, stable) == ours.fingerprint, f"rotation {number} is served")
    assert handshake(proxy.port, trusting_anyone(ours.client)) == ours.fingerprint, (
        "certificate and CA are of one set"
    )
    with pytest.raises(OSError):
        handshake(proxy.port, trusting_anyone(wholes[number - 1].client))


def explained(log, named):
    """Whether a line about a failed reload names one of these files."""
    whole_lines = log[: log.rfind("\n") + 1].splitlines()
    lines = [line for line in whole_lines if any(name in line for name in named)]
    return any(json.loads(line).get("result") == "failed" for line in lines)


def break_it(world, number):
    proxy, live, wholes, _ = world
    files, named = broken(wholes[number].files, number)
    failed, said = proxy.metric("reloads_total", result="failed"), len(proxy.text())
    (live.overwrite if number % 2 else live.swap)(files)
    answer = trigger(proxy, number)
    if answer:
        assert answer[0] == 422, answer
        assert any(name in answer[1] for name in named), answer[1]
    wait_until(
        lambda: proxy.metric("reloads_total", result="failed") > failed, f"failure {number} is counted"
    )
    wait_until(lambda: explained(proxy.text()[said:], named), f"failure {number} is explained with {named}")


def test_no_socket_is_lost_while_files_are_rotated_and_broken(world, folder):
    proxy, _, wholes, trusted = world
    command = [sys.executable, HERE / "holder.py", str(proxy.port), trusted, str(EACH)]
    holders = [Process(folder, f"holder-{number}", command) for number in range(HOLDERS)]
    prober = Prober(proxy.port, trusting_anyone(trusted / "client.pem", trusted / "client.key"))
    try:
        wait_until(lambda: all("open" in each.text() for each in holders), "every socket is open", 120)
        assert proxy.metric("websockets_open") == HOLDERS * EACH
        prober.start()
        for number in range(1, ROUNDS + 1):
            rotate(world, number)
            break_it(world, number)
        assert proxy.metric("websockets_open") == HOLDERS * EACH
        assert proxy.metric("reloads_total", result="failed") >= ROUNDS
    finally:
        prober.over.set()
        for each in holders:
            each.stop(seconds=60)
    assert not prober.failures
    assert prober.met <= {whole.fingerprint for whole in wholes}
    for each in holders:
        told = json.loads(each.text().splitlines()[-1])
        assert (told["whole"], told["lost"], told["changed"]) == (EACH, [], 0)
        assert told["echoes"] > 2 * EACH
