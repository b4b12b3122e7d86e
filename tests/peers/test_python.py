"""Python `websockets` as client and as backend."""

import asyncio
import base64
import hashlib
import json
import os
import ssl
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from harness import MIB, Tidegate, eventually, route

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, MIB]
CLOSES = [(1000, ""), (1001, "going away"), (3000, "x" * 123), (4999, "last words")]


@pytest.fixture(scope="module")
def tidegate(folder, credentials, python_backend):
    proxy = Tidegate(folder, credentials, route("/", python_backend[1]))
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_text_and_binary_of_every_size_return_unchanged(tidegate, compression):
    async with tidegate.connect("/echo", compression=compression) as socket:
        for size in SIZES:
            for message in (os.urandom(size), "é" * (size // 2) + "e" * (size % 2)):
                await socket.send(message)
                assert await socket.recv() == message, f"{type(message).__name__} of {size} octets"


async def test_a_message_may_be_as_large_as_the_limit(tidegate):
    async with tidegate.connect("/echo", compression=None) as socket:
        message = os.urandom(16 * MIB)
        await socket.send(message)
        assert await socket.recv() == message


@pytest.mark.parametrize("fragments", [1, 17])
async def test_a_message_above_the_limit_ends_with_1009(tidegate, fragments):
    async with tidegate.connect("/echo", compression=None) as socket:
        pieces = [os.urandom(MIB)] * 17 if fragments > 1 else [os.urandom(16 * MIB + 1)]
        with pytest.raises(ConnectionClosed) as ending:
            await socket.send(pieces if fragments > 1 else pieces[0])
            await socket.recv()
        assert ending.value.rcvd and ending.value.rcvd.code == 1009


async def test_fragments_arrive_as_one_message(tidegate):
    async with tidegate.connect("/echo") as socket:
        pieces = [os.urandom(1 + index * 97) for index in range(50)]
        await socket.send(pieces)
        assert await socket.recv() == b"".join(pieces)


async def test_compression_is_negotiated_end_to_end_and_used(tidegate):
    async with tidegate.connect("/describe") as socket:
        seen = json.loads(await socket.recv())
        assert seen["extensions"] == ["permessage-deflate"]
        assert [each.name for each in socket.protocol.extensions] == ["permessage-deflate"]
        before = tidegate.metric("bytes_total", direction="to_backend")
        await socket.send("tide" * (MIB // 4))
        assert await socket.recv() == "tide" * (MIB // 4)
    await eventually(
        lambda: tidegate.metric("bytes_total", direction="to_backend") > before, "bytes_total counts", 5
    )
    assert tidegate.metric("bytes_total", direction="to_backend") - before < MIB / 20


async def test_request_fields_reach_the_backend(tidegate):
    fields = {"Cookie": "session=one; theme=dark", "X-Own": "kept"}
    options = {
        "additional_headers": fields,
        "origin": "https://example.com",
        "subprotocols": ["tide.v3", "tide.v1"],
    }
    async with tidegate.connect("/describe/a%20b?x=1&y=%2F", **options) as socket:
        assert socket.subprotocol == "tide.v1"
        seen = json.loads(await socket.recv())
    assert seen["path"] == "/describe/a%20b?x=1&y=%2F"
    got = dict(seen["fields"])
    assert got["cookie"] == fields["Cookie"]
    assert got["x-own"] == "kept"
    assert got["origin"] == "https://example.com"
    assert got["host"] == f"localhost:{tidegate.port}"
    assert seen["subprotocol"] == "tide.v1"


def values(seen, name):
    return [value for field, value in seen["fields"] if field.replace("_", "-") == name]


async def test_identity_is_told_by_the_proxy_alone(tidegate, credentials):
    forged = {
        "Client-Cert": ":Zm9yZ2Vk:",
        "client_cert": ":Zm9yZ2Vk:",
        "CLIENT-CERT-CHAIN": ":Zm9yZ2Vk:",
        "X-Forwarded-Client-Cert": "Hash=forged",
        "X_Forwarded-Client_Cert": "Hash=forged",
        "X-Forwarded-For": "192.0.2.66",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "forged.example.com",
        "X-Forwarded-Port": "1",
        "X-Request-Id": "forged",
        "Frame-Integrity": "forged",
    }
    async with tidegate.connect("/describe", additional_headers=forged) as socket:
        text = await socket.recv()
    seen = json.loads(text)
    leaf = credentials.der("client")
    assert values(seen, "client-cert") == [f":{base64.b64encode(leaf).decode()}:"]
    assert values(seen, "x-forwarded-for") == ["127.0.0.1"]
    assert values(seen, "x-forwarded-proto") == ["https"]
    assert values(seen, "x-forwarded-port") == [str(tidegate.port)]
    assert len(values(seen, "x-request-id")) == 1
    for word in ("forged", "Zm9yZ2Vk", "192.0.2.66", "gopher"):
        assert word not in text
    (told,) = values(seen, "x-forwarded-client-cert")
    assert f"hash={hashlib.sha256(leaf).hexdigest()}" in told.lower()
    assert "URI=spiffe://example.com/edge/one" in told
    assert "DNS=one.edge.example.com" in told
    assert "CN=client" in told


async def test_a_thousand_sockets_echo_at_once(tidegate, credentials):
    context = credentials.context()
    opening = asyncio.Semaphore(50)
    everybody = asyncio.Barrier(1_000)

    async def one(number):
        async with opening:
            socket = await tidegate.connect("/echo", ssl=context, compression=None)
        await everybody.wait()
        async with socket:
            for size in (10, 1_000, 20_000):
                message = number.to_bytes(4) + os.urandom(size)
                await socket.send(message)
                assert await socket.recv() == message

    await asyncio.gather(*(one(number) for number in range(1_000)))
    await eventually(lambda: tidegate.metric("websockets_open") == 0, "every socket is closed again")


async def test_pings_of_the_client_are_answered(tidegate):
    async with tidegate.connect("/echo") as socket:
        await asyncio.wait_for(await socket.ping(b"x" * 125), 5)


async def test_pings_of_the_backend_are_answered(tidegate):
    async with tidegate.connect("/ping") as socket:
        assert await asyncio.wait_for(socket.recv(), 5) == "pong came"


@pytest.mark.parametrize("code, reason", CLOSES, ids=lambda value: str(value)[:4])
async def test_a_close_of_the_backend_reaches_the_client(tidegate, code, reason):
    async with tidegate.connect(f"/close/{code}/{quote(reason)}") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (code, reason)


@pytest.mark.parametrize("code, reason", CLOSES, ids=lambda value: str(value)[:4])
async def test_a_close_of_the_client_reaches_the_backend(tidegate, python_backend, code, reason):
    line = f"closed {code} {reason}\n"
    before = python_backend[0].text().count(line)
    async with tidegate.connect("/echo") as socket:
        await socket.close(code, reason)
        assert socket.close_code == code
    await eventually(
        lambda: python_backend[0].text().count(line) == before + 1, f"the backend saw {line!r}", 5
    )


async def test_a_backend_that_vanishes_is_told_with_1011(tidegate):
    async with tidegate.connect("/abort") as socket:
        await socket.send("now")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1011


async def test_a_refusal_of_the_backend_reaches_the_client(tidegate):
    with pytest.raises(InvalidStatus) as refusal:
        await tidegate.connect("/declined")
    assert refusal.value.response.status_code == 401


async def test_frames_sent_together_with_the_request_are_kept(tidegate, credentials):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", tidegate.port, ssl=credentials.context(), server_hostname="localhost"
    )
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /echo HTTP/1.1\r\nHost: localhost:{tidegate.port}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    frames = b"".join(Frame(Opcode.TEXT, b"early %d" % index).serialize(mask=True) for index in range(20))
    writer.write(request.encode() + frames)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    expected = b"".join(Frame(Opcode.TEXT, b"early %d" % index).serialize(mask=False) for index in range(20))
    assert await asyncio.wait_for(reader.readexactly(len(expected)), 5) == expected
    writer.transport.abort()


async def test_a_client_that_cuts_the_connection_frees_it(tidegate):
    socket = await tidegate.connect("/echo")
    await socket.send("hello")
    await socket.recv()
    await eventually(lambda: tidegate.metric("websockets_open") == 1, "the socket is counted", 5)
    socket.transport.abort()
    await eventually(lambda: tidegate.metric("websockets_open") == 0, "the socket is counted as gone", 5)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("client", ["client", "client-rsa"])
async def test_either_tls_version_and_key_type_serves(tidegate, credentials, version, client):
    context = credentials.context(client)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    async with tidegate.connect("/echo", ssl=context) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
