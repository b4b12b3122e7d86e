"""NIST's test suite for path validation (PKITS): every chain of it, shown to a running tidegate.

The suite comes with the package `cryptography-vectors`. Whatever it calls Invalid has to be refused. What it
calls Valid and tidegate refuses has its reason in the table of docs/trust.md, which is read here.
"""

import base64
import contextlib
import functools
import importlib.resources
import json
import os
import re
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from harness import ROOT, TEMPLATE, Tidegate, free_port, route

SUITE = importlib.resources.files("cryptography_vectors") / "x509" / "PKITS_data"
ANCHOR = "TrustAnchorRootCertificate.crt"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def pem(label, der):
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def plain(name):
    """A name as RFC 5280 section 7.1 compares it: the suite writes some in several ways."""
    return " ".join(name.rfc4514_string().casefold().split())


@functools.cache
def authorities():
    """The CA certificates below the anchor, by subject: issuer and DER."""
    found = {}
    for file in sorted((SUITE / "certs").iterdir(), key=lambda file: file.name):
        if not file.name.endswith("EE.crt") and file.name != ANCHOR:
            der = file.read_bytes()
            with contextlib.suppress(ValueError):  # DSA with inherited parameters: no peer could use it.
                certificate = x509.load_der_x509_certificate(der)
                found.setdefault(plain(certificate.subject), []).append((plain(certificate.issuer), der))
    return found


def chain(name):
    """A client's certificate and every certificate that one above it might have been issued by."""
    der = (SUITE / "certs" / f"{name}.crt").read_bytes()
    found, wanted, seen = [der], [plain(x509.load_der_x509_certificate(der).issuer)], set()
    while wanted:
        subject = wanted.pop(0)
        if subject not in seen:
            seen.add(subject)
            for issuer, authority in authorities().get(subject, []):
                found.append(authority)
                wanted.append(issuer)
    return found


def names():
    files = (file.name for file in (SUITE / "certs").iterdir())
    return sorted(name.removesuffix(".crt") for name in files if re.match(r"(Valid|Invalid).*EE\.crt", name))


def excused():
    """The tests that the table of docs/trust.md names."""
    text = (ROOT / "docs" / "trust.md").read_text()
    section = text.split("### PKITS\n")[1].split("\n#")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[2])}


@pytest.fixture(scope="module")
def proxy(folder, credentials):
    """A proxy that trusts the suite's anchor, with all lists of the suite that it can use."""
    anchor = folder / "anchor.pem"
    anchor.write_text(pem("CERTIFICATE", (SUITE / "certs" / ANCHOR).read_bytes()))
    lists = []
    for file in sorted((SUITE / "crls").iterdir(), key=lambda file: file.name):
        lists.append(folder / file.name)
        lists[-1].write_bytes(file.read_bytes())
    unusable = refused(folder, credentials, anchor, lists)
    assert len(unusable) < len(lists) / 4, unusable
    usable = [path for path in lists if path.name not in unusable]
    proxy = Tidegate(folder, credentials, route("/", free_port()), template(anchor, usable))
    yield proxy
    proxy.stop()


def template(anchor, lists):
    lists = json.dumps([str(path) for path in lists])
    return TEMPLATE.replace('["{certs}/root.pem"]', f'["{anchor}"]\ncrl = {lists}')


def refused(folder, credentials, anchor, lists):
    """The lists that `tidegate check` says cannot be used: delta lists, indirect ones, forged ones."""
    config = folder / "check.toml"
    text = template(anchor, lists).format(port=free_port(), admin=free_port(), certs=credentials.folder)
    config.write_text(text + route("/", free_port()))
    check = [os.environ["TIDEGATE"], "check", "--config", config]
    said = subprocess.run(check, capture_output=True, text=True, timeout=60)
    fault = r"/(\w+\.crl): (?:the CRL of .* (?:cannot be used|is not signed|is not believed)|not a whole)"
    return set(re.findall(fault, said.stdout + said.stderr))


def admits(proxy, folder, name):
    """Whether a client with this chain gets an answer to its request."""
    bundle = (SUITE / "pkcs12" / f"{name}.p12").read_bytes()
    try:
        key = pkcs12.load_key_and_certificates(bundle, b"password")[0]
    except ValueError:
        return False  # DSA with inherited parameters, again.
    file = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file.write_text("".join(pem("CERTIFICATE", der) for der in chain(name)) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(file)
    try:
        with (
            socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain_socket,
            context.wrap_socket(plain_socket, server_hostname="localhost") as secure,
        ):
            secure.sendall(REQUEST)
            answer = secure.recv(4096)
    except ssl.SSLError as error:
        assert "ALERT" in error.reason, (name, error)  # Else it was the client that did not want to.
        return False
    # There is no backend: 502 and 503 come when everything else is settled.
    assert answer.startswith((b"HTTP/1.1 502", b"HTTP/1.1 503", b"HTTP/1.1 403")), (name, answer)
    return not answer.startswith(b"HTTP/1.1 403")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_invalid_chain_is_refused_and_every_valid_one_that_is_has_its_reason(proxy, folder):
    admitted = {name for name in names() if admits(proxy, folder, name)}
    everything = set(names())
    assert len(everything) > 200
    invalid = {name for name in everything if name.startswith("Invalid")}
    assert admitted & invalid == set()
    assert everything - invalid - admitted == excused()
