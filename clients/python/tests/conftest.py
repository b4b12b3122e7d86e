"""The vectors, and a reference peer with a man in the middle before it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypeVar

import pytest
from reference_integrity import keyring_of
from reference_peer import ReferencePeer
from tampering_proxy import TamperingProxy

from tidegate_client import Key, PublicKey, SharedKey

Result = TypeVar("Result")
REPOSITORY = Path(__file__).resolve().parents[3]
VECTORS = Path(os.environ.get("TIDEGATE_VECTORS", REPOSITORY / "tests/vectors/frame-integrity.json"))
PATIENCE = 30  # seconds after which a test has failed


def load_vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return loaded


@dataclass
class World:
    """What a test talks to."""

    peer: ReferencePeer
    url: str
    tampering_url: str

    async def ending(self) -> dict[str, Any]:
        """How the peer saw the next connection end."""
        return await asyncio.wait_for(self.peer.endings.get(), PATIENCE)


Scenario = Callable[[World], Awaitable[Result]]


def play(scenario: Scenario[Result]) -> Result:
    """Runs a scenario in a world of its own."""

    async def in_world() -> Result:
        peer = ReferencePeer(keyring_of(load_vectors()))
        url = await peer.start()
        proxy = TamperingProxy(url)
        world = World(peer, url, await proxy.start())
        try:
            return await asyncio.wait_for(scenario(world), PATIENCE)
        finally:
            proxy.stop()
            peer.stop()

    return asyncio.run(in_world())


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    return load_vectors()


def vector_key(kind: str) -> Key:
    """The vectors' key of a kind."""
    keys = {key["kind"]: key for key in load_vectors()["keys"]}
    if kind == "secret":
        return SharedKey(keys["secret"]["kid"], bytes.fromhex(keys["secret"]["secret"]))
    return PublicKey(keys["x25519"]["kid"], bytes.fromhex(keys["x25519"]["public"]))


def sealing(kind: str) -> dict[str, Any]:
    """How to seal, as arguments of ``connect``; ``none`` is ``sha-256``."""
    return {"algorithm": "sha-256"} if kind == "none" else {"key": vector_key(kind)}
