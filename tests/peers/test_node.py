"""Node's `ws` as client and as backend; and as backend of Python `websockets`."""

import subprocess

import pytest

from harness import MIB, WORK, Tidegate, route


@pytest.fixture(scope="module")
def tidegate(folder, credentials, node_backend):
    proxy = Tidegate(folder, credentials, route("/", node_backend[1]))
    yield proxy
    proxy.stop()


def converse(name, base, credentials, seconds=60):
    command = ["node", WORK / "client.mjs", name, base, credentials.folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr


CONVERSATIONS = [
    "plain", "compressed", "limit", "thousand", "ping", "closedByClient", "closedByBackend", "noCertificate",
]  # fmt: skip


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_node_converses(tidegate, credentials, name):
    converse(name, f"wss://localhost:{tidegate.port}", credentials)


async def test_websockets_converses_with_a_node_backend(tidegate):
    async with tidegate.connect("/echo") as socket:
        for message in ("", "hello", b"x" * MIB, "é" * MIB):
            await socket.send(message)
            assert await socket.recv() == message
