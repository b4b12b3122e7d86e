"""What a refused peer is told: TLS alerts before the request, problem documents (RFC 9457) after it."""

import asyncio
import contextlib
import hashlib
import json
import socket
import ssl
import threading

import pytest
from websockets.exceptions import ConnectionClosed

from harness import TEMPLATE, Tidegate, eventually, free_port, route

OPTIONAL = TEMPLATE.replace('mode = "required"', 'mode = "optional"')

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # what RFC 6455 section 1.3 computes for this key


class Answering:
    """A backend that answers every connection with the same octets; `None`: with silence."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = answer
        self.held = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.held.append(connection)
                connection.recv(65_536)
                if self.answer is not None:
                    connection.sendall(self.answer.encode())

    def close(self):
        for each in [self.listener, *self.held]:
            each.close()


def switching(accept=ACCEPT, upgrade="Upgrade: websocket\r\n", connection="Connection: Upgrade\r\n"):
    return f"HTTP/1.1 101 Switching Protocols\r\n{upgrade}{connection}Sec-WebSocket-Accept: {accept}\r\n\r\n"


BACKENDS = {
    "/silent": None,
    "/garbage": "\x16\x03\x01 hello\r\n\r\n",
    "/wrong-accept": switching(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    "/no-upgrade": switching(upgrade=""),
    "/no-connection": switching(connection=""),
}


@pytest.fixture(scope="module")
def tidegate(folder, credentials, python_backend):
    answering = {path: Answering(answer) for path, answer in BACKENDS.items()}
    fingerprint = hashlib.sha256(credentials.der("client")).hexdigest()
    routes = [
        route("/echo", python_backend[1]),
        route("/by-name", python_backend[1], allow=["uri:spiffe://example.com/edge/*"]),
        route("/by-fingerprint", python_backend[1], allow=[f"sha256:{fingerprint}"]),
        route("/origin", python_backend[1], origins=["https://example.com"]),
        route("/hosted", python_backend[1], host=["localhost"]),
        route("/sockets", python_backend[1], requests="websocket"),
        route("/dead", free_port()),
        *(route(path, backend.port) for path, backend in answering.items()),
    ]
    proxy = Tidegate(folder, credentials, '\n[timeouts]\nconnect = "1s"\n' + "".join(routes))
    yield proxy
    proxy.stop()
    for backend in answering.values():
        backend.close()


@pytest.fixture(scope="module")
def optional(folder, credentials, python_backend):
    """A proxy where a certificate is asked for, and some routes require it."""
    settings = "".join(
        [route("/open", python_backend[1]), route("/closed", python_backend[1], client_cert="required")]
    )
    proxy = Tidegate(folder / "optional", credentials, settings, OPTIONAL)
    yield proxy
    proxy.stop()


def handshake(tidegate, context, name="localhost"):
    raw = socket.create_connection(("127.0.0.1", tidegate.port), timeout=10)
    return context.wrap_socket(raw, server_hostname=name)


def alert(tidegate, credentials, client, version):
    """The alert that answers this certificate, as OpenSSL names it."""
    context = credentials.context(client)
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError) as refusal, handshake(tidegate, context) as connection:
        connection.recv(1)
    return refusal.value.reason


ALERTS = {
    None: "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "stranger": "TLSV1_ALERT_UNKNOWN_CA",
    "self-signed": "TLSV1_ALERT_UNKNOWN_CA",
    "expired": "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "not-yet": "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "server-only": "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
}


@pytest.mark.parametrize("client", ALERTS)
def test_a_certificate_that_does_not_serve_gets_its_alert(tidegate, credentials, client):
    assert alert(tidegate, credentials, client, ssl.TLSVersion.TLSv1_3) == ALERTS[client]


@pytest.mark.parametrize("client", ALERTS)
def test_tls_1_2_gets_the_same_alerts(tidegate, credentials, client):
    """116, certificate_required, is of TLS 1.3; RFC 5246 section 7.4.6 knows handshake_failure."""
    expected = {ALERTS[client]} if client else {ALERTS[None], "SSLV3_ALERT_HANDSHAKE_FAILURE"}
    assert alert(tidegate, credentials, client, ssl.TLSVersion.TLSv1_2) in expected


def ask(tidegate, path, client="client", fields=UPGRADE, method="GET", host=None):
    """One request over a connection of its own: status, fields, body."""
    with handshake(tidegate, tidegate.credentials.context(client)) as connection:
        lines = {"Host": host or f"localhost:{tidegate.port}", **fields}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer or (b" 101 " not in answer.split(b"\r\n")[0] and not whole(answer)):
            piece = connection.recv(65_536)
            if not piece:
                break
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return (
        int(status.split()[1]),
        {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)},
        body,
    )


def whole(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    ]
    return bool(lengths) and len(body) >= int(lengths[0])


def refused(tidegate, status, path, **request):
    got, fields, body = ask(tidegate, path, **request)
    assert got == status
    assert fields["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["title"]
    return fields


def test_a_good_request_is_accepted(tidegate):
    assert ask(tidegate, "/echo")[0] == 101


@pytest.mark.parametrize("path", ["/nowhere", "/echoes", "/"])
def test_no_route_is_404(tidegate, path):
    refused(tidegate, 404, path)


@pytest.mark.parametrize("path", ["/by-name", "/by-fingerprint"])
def test_a_certificate_that_the_route_does_not_allow_is_403(tidegate, path):
    assert ask(tidegate, path)[0] == 101
    refused(tidegate, 403, path, client="client-rsa")


def test_a_route_that_requires_a_certificate_answers_403_without_one(optional):
    assert ask(optional, "/open", client=None)[0] == 101
    assert ask(optional, "/closed")[0] == 101
    refused(optional, 403, "/closed", client=None)


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://example.com", "https://example.com.evil.test", "https://example.com:8443"],
)
def test_another_origin_is_403(tidegate, origin):
    assert ask(tidegate, "/origin", fields={**UPGRADE, "Origin": "https://example.com"})[0] == 101
    refused(tidegate, 403, "/origin", fields={**UPGRADE, "Origin": origin} if origin else UPGRADE)


def test_a_host_of_no_route_is_404_or_421(tidegate):
    assert ask(tidegate, "/hosted", host=f"LOCALHOST:{tidegate.port}")[0] == 101
    assert ask(tidegate, "/hosted", host="elsewhere.test")[0] in (404, 421)


def test_a_plain_request_to_a_route_for_websockets_alone_is_426(tidegate):
    fields = refused(tidegate, 426, "/sockets", fields={})
    assert fields["upgrade"] == "websocket"
    assert fields["sec-websocket-version"] == "13"


def test_another_version_is_426_and_the_connection_closes(tidegate):
    fields = refused(tidegate, 426, "/echo", fields={**UPGRADE, "Sec-WebSocket-Version": "777"})
    assert fields["sec-websocket-version"] == "13"


@pytest.mark.parametrize("key", [None, "short", "AAAA"])
def test_a_bad_key_is_400(tidegate, key):
    fields = {name: value for name, value in UPGRADE.items() if name != "Sec-WebSocket-Key"}
    refused(tidegate, 400, "/echo", fields={**fields, "Sec-WebSocket-Key": key} if key else fields)


@pytest.mark.parametrize("fields", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "5"}])
def test_a_request_with_a_body_is_refused(tidegate, fields):
    assert ask(tidegate, "/echo", fields={**UPGRADE, **fields})[0] in (400, 426)
    assert ask(tidegate, "/echo", fields={**UPGRADE, **fields}, method="POST")[0] in (400, 426)


def test_a_backend_that_refuses_is_502(tidegate):
    first = ask(tidegate, "/dead")[0]
    assert first in (502, 503), "503 once the server is known to be down"


@pytest.mark.parametrize("path", ["/garbage", "/wrong-accept", "/no-upgrade", "/no-connection"])
def test_a_backend_that_answers_nonsense_is_502(tidegate, path):
    refused(tidegate, 502, path)


def test_a_backend_that_is_silent_is_504(tidegate):
    refused(tidegate, 504, "/silent")


def test_a_host_with_other_trust_than_the_tls_session_is_421(folder, credentials, python_backend):
    """The session was made for `localhost`, where no certificate is needed; `other.test` needs one."""
    settings = [
        route("/one", python_backend[1], host=["localhost"], client_cert="off"),
        route("/two", python_backend[1], host=["other.test"], client_cert="required"),
    ]
    proxy = Tidegate(folder / "misdirected", credentials, "".join(settings), OPTIONAL)
    try:
        assert ask(proxy, "/one", client=None)[0] == 101
        refused(proxy, 421, "/two", host="other.test")
    finally:
        proxy.stop()


async def test_a_drain_refuses_new_sockets_with_503_and_ends_old_ones_with_1012(
    folder, credentials, python_backend
):
    settings = route("/echo", python_backend[1])
    slowly = TEMPLATE.replace('drain_spread = "0s"', 'drain_spread = "2s"')
    proxy = Tidegate(folder / "drain", credentials, settings, slowly)
    try:
        sockets = [await proxy.connect("/echo") for _ in range(20)]
        assert proxy.ask("POST", "/drain")[0] in (200, 202)
        await eventually(lambda: proxy.ask("GET", "/readyz")[0] == 503, "ready goes 503", 2)
        refused(proxy, 503, "/echo")

        async def ending(each):
            with pytest.raises(ConnectionClosed):
                await each.recv()
            return each.close_code

        assert await asyncio.gather(*map(ending, sockets)) == [1012] * 20
    finally:
        proxy.stop()
