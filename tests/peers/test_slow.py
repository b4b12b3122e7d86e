"""Slow and silent peers beside good ones: the good ones notice nothing, the others end at their deadline."""

import asyncio
import contextlib
import re
import ssl
import subprocess
import time

import pytest

from harness import TEMPLATE, Tidegate, eventually, route

SLOW, GOOD = 200, 20
DEADLINE = 3.0
SETTINGS = f'\n[timeouts]\nhandshake = "{DEADLINE:.0f}s"\nupgrade = "{DEADLINE:.0f}s"\n'


@pytest.fixture(scope="module")
def tidegate(folder, credentials, python_backend):
    """Asks for a certificate, but does not need one: slowhttptest has none."""
    template = TEMPLATE.replace('mode = "required"', 'mode = "optional"')
    proxy = Tidegate(folder, credentials, SETTINGS + route("/", python_backend[1]), template)
    yield proxy
    proxy.stop()


def client_hello():
    """The first flight of an OpenSSL client."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


def slow_request(tidegate):
    return f"GET /echo HTTP/1.1\r\nHost: localhost:{tidegate.port}\r\nX-Long: ".encode() + b"a" * 60


async def linger(tidegate, tls, octets):
    """Connects, sends an octet a second, and tells after how many seconds the proxy ended it."""
    trust = {"ssl": tidegate.credentials.context(), "server_hostname": "localhost"} if tls else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", tidegate.port, **trust)
    start = time.monotonic()
    with contextlib.suppress(OSError, ssl.SSLError):
        for octet in octets:
            writer.write(bytes([octet]))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(), 1)
                break
        else:
            await asyncio.wait_for(reader.read(), 3 * DEADLINE)
    writer.transport.abort()
    return time.monotonic() - start


async def converse(tidegate, until):
    """Opens a socket, echoes until told to stop, and returns the longest wait for an answer."""
    slowest = 0.0
    async with tidegate.connect("/echo") as socket:
        while not until.is_set():
            start = time.monotonic()
            await socket.send("hello")
            assert await socket.recv() == "hello"
            slowest = max(slowest, time.monotonic() - start)
            await asyncio.sleep(0.05)
    return slowest


PEERS = {
    "silence": (False, lambda tidegate: b""),
    "slow_hello": (False, lambda tidegate: client_hello()[:60]),
    "no_request": (True, lambda tidegate: b""),
    "slow_request": (True, slow_request),
}


@pytest.mark.parametrize("kind", PEERS)
async def test_slow_peers_end_at_the_deadline_and_good_ones_notice_nothing(tidegate, kind):
    tls, octets = PEERS[kind]
    baseline = tidegate.descriptors()
    done = asyncio.Event()
    good = [asyncio.create_task(converse(tidegate, done)) for _ in range(GOOD)]
    lasted = await asyncio.gather(*(linger(tidegate, tls, octets(tidegate)) for _ in range(SLOW)))
    done.set()
    slowest = max(await asyncio.gather(*good))
    assert min(lasted) > DEADLINE - 1
    assert max(lasted) < DEADLINE + 3
    assert slowest < 1.0, "seconds that a good client waited for its echo"
    await eventually(lambda: tidegate.descriptors() <= baseline + 2, "descriptors are back")


def test_slowhttptest_finds_the_service_available(tidegate):
    command = [
        "slowhttptest",
        "-H",
        "-c",
        str(SLOW),
        "-r",
        "100",
        "-i",
        "1",
        "-l",
        "10",
        "-x",
        "24",
        "-p",
        "3",
    ]
    command += ["-u", f"https://127.0.0.1:{tidegate.port}/echo"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "service available:   YES" in plain, plain[-1500:]
    assert "No open connections left" in plain, plain[-1500:]
