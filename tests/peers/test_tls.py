"""TLS as OpenSSL (3.0 of the system, 3.5 of pyOpenSSL, 1.1 of sslyze) sees it."""

import json
import re
import socket
import ssl
import subprocess

import pytest
from OpenSSL import SSL

from harness import TEMPLATE, Tidegate, route


@pytest.fixture(scope="module")
def tidegate(folder, credentials, python_backend):
    proxy = Tidegate(folder, credentials, route("/", python_backend[1]))
    yield proxy
    proxy.stop()


def s_client(tidegate, *options, name="localhost", said="Q\n"):
    """What `openssl s_client` prints of one handshake; what is said to it leads to the end."""
    folder = tidegate.credentials.folder
    trust = ["-CAfile", f"{folder}/root.pem", "-cert", f"{folder}/client.pem", "-key", f"{folder}/client.key"]
    chain = ["-cert_chain", f"{folder}/client.pem"]
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{tidegate.port}",
        "-servername",
        name,
        *trust,
        *chain,
        *options,
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as client:
        # It would end with its input as well.
        client.stdin.write(said)
        client.stdin.flush()
        try:
            client.wait(timeout=20)
        finally:
            client.kill()
        return client.stdout.read()


def subject(shown):
    found = re.search(r"^subject=.*CN\s*=\s*(\S+)", shown, re.MULTILINE)
    return found and found[1]


@pytest.mark.parametrize("version, suite", [("-tls1_2", "ECDHE-ECDSA-"), ("-tls1_3", "TLS_")])
def test_both_versions_serve_with_a_chain_that_verifies(tidegate, version, suite):
    shown = s_client(tidegate, version)
    assert "Verify return code: 0 (ok)" in shown
    assert re.search(rf"Cipher is {suite}", shown)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(tidegate, version):
    assert "Cipher is (NONE)" in s_client(tidegate, version, "-cipher", "ALL:@SECLEVEL=0")


def test_renegotiation_is_declined(tidegate):
    shown = s_client(tidegate, "-tls1_2", said="R\n")
    assert "RENEGOTIATING" in shown
    assert "no renegotiation" in shown


@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256", "aNULL", "eNULL"]
)
def test_suites_without_forward_secrecy_or_aead_are_refused(tidegate, suite):
    shown = s_client(tidegate, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert "handshake failure" in shown
    assert "Cipher is (NONE)" in shown


@pytest.mark.parametrize(
    "name, certificate",
    [
        ("localhost", "server-ecdsa"),
        ("rsa.test", "server-rsa"),
        ("other.test", "other"),
        ("OTHER.TEST", "other"),
        ("nobody.test", "server-ecdsa"),
    ],
)
def test_the_sni_name_chooses_the_certificate_and_the_first_is_the_default(tidegate, name, certificate):
    assert subject(s_client(tidegate, name=name)) == certificate


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_that_knows_no_ecdsa_gets_the_rsa_certificate(tidegate, version):
    shown = s_client(
        tidegate,
        version,
        "-sigalgs",
        "RSA-PSS+SHA256:RSA+SHA256",
        "-cert",
        f"{tidegate.credentials.folder}/client-rsa.pem",
        "-key",
        f"{tidegate.credentials.folder}/client-rsa.key",
    )
    assert subject(shown) == "server-rsa"


@pytest.mark.parametrize(
    "group, told", [("X25519", "X25519"), ("P-256", "ECDH, prime256v1"), ("P-384", "ECDH, secp384r1")]
)
def test_classic_key_exchange_serves(tidegate, group, told):
    assert f"Server Temp Key: {told}" in s_client(tidegate, "-groups", group)


def test_the_post_quantum_hybrid_is_taken_where_it_is_offered(tidegate):
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(str(tidegate.credentials.chain("client")))
    context.use_privatekey_file(str(tidegate.credentials.key("client")))
    with socket.create_connection(("127.0.0.1", tidegate.port), timeout=10) as raw:
        raw.settimeout(None)  # pyOpenSSL wants a blocking socket
        connection = SSL.Connection(context, raw)
        connection.set_tlsext_host_name(b"localhost")
        connection.set_connect_state()
        connection.do_handshake()
        assert connection.get_group_name() == "X25519MLKEM768"


def request(tidegate, context, session=None):
    """One request that is refused; the TLS session as it is after the answer, and whether it was resumed."""
    raw = socket.create_connection(("127.0.0.1", tidegate.port), timeout=10)
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{tidegate.port}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 426 ")
        return connection.session, connection.session_reused


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_is_resumed(tidegate, credentials, version):
    context = credentials.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    session, _ = request(tidegate, context)
    assert request(tidegate, context, session)[1]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_does_not_outlive_the_trust_it_was_made_under(folder, credentials, python_backend, version):
    trusted = folder / f"trusted-{version}.pem"
    trusted.write_text(credentials.chain("root").read_text())
    template = TEMPLATE.replace("{certs}/root.pem", str(trusted))
    proxy = Tidegate(folder / f"trust-{version}", credentials, route("/", python_backend[1]), template)
    try:
        context = credentials.context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        session, _ = request(proxy, context)
        trusted.write_text(trusted.read_text() + credentials.chain("stranger-root").read_text())
        status, body = proxy.ask("POST", "/reload")
        assert status == 200, body
        session, resumed = request(proxy, context, session)
        assert not resumed
        assert request(proxy, context, session)[1]
    finally:
        proxy.stop()


SCANS = [
    "--sslv3",
    "--tlsv1",
    "--tlsv1_1",
    "--tlsv1_2",
    "--tlsv1_3",
    "--compression",
    "--reneg",
    "--openssl_ccs",
    "--heartbleed",
    "--ems",
]


@pytest.fixture(scope="module")
def scan(tidegate, folder):
    report = folder / "sslyze.json"
    secret = [
        "--cert",
        tidegate.credentials.chain("client-rsa"),
        "--key",
        tidegate.credentials.key("client-rsa"),
    ]
    command = [
        "sslyze",
        *SCANS,
        *secret,
        "--sni",
        "localhost",
        f"127.0.0.1:{tidegate.port}",
        "--json_out",
        report,
    ]
    subprocess.run(command, capture_output=True, timeout=60)
    return json.loads(report.read_text())["server_scan_results"][0]["scan_result"]


def result(scan, name):
    assert scan[name]["status"] == "COMPLETED", scan[name]
    return scan[name]["result"]


@pytest.mark.parametrize("version", ["ssl_3_0", "tls_1_0", "tls_1_1"])
def test_sslyze_finds_no_old_version(scan, version):
    assert not result(scan, f"{version}_cipher_suites")["is_tls_version_supported"]


@pytest.mark.parametrize("version", ["tls_1_2", "tls_1_3"])
def test_sslyze_finds_only_aead_suites_with_forward_secrecy(scan, version):
    suites = [
        each["cipher_suite"]["name"]
        for each in result(scan, f"{version}_cipher_suites")["accepted_cipher_suites"]
    ]
    assert suites
    for suite in suites:
        assert "GCM" in suite or "CHACHA20_POLY1305" in suite
        assert version == "tls_1_3" or suite.startswith("TLS_ECDHE_")


def test_sslyze_finds_no_known_weakness(scan):
    assert not result(scan, "tls_compression")["supports_compression"]
    assert not result(scan, "heartbleed")["is_vulnerable_to_heartbleed"]
    assert not result(scan, "openssl_ccs_injection")["is_vulnerable_to_ccs_injection"]
    assert not result(scan, "session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"]
    assert result(scan, "session_renegotiation")["client_renegotiations_success_count"] == 0
    assert result(scan, "tls_extended_master_secret")["supports_ems_extension"]
