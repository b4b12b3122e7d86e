"""A man in the middle changes the traffic: what is noticed, by whom, and what the application is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from conftest import World, play, sealing
from test_connection import Binding, both_bindings
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from tidegate_client import IntegrityError, connect

MESSAGES: list[str | bytes] = ["pay Alice 1", b"pay Bob 2", "pay Carol 3"]
DELIBERATE = [
    *("flip", "flip-tag", "replay", "drop", "reorder", "inject", "inject-untagged"),
    *("retype", "lose-octet", "truncate", "forge-close"),
]
ACCIDENTAL = ["flip", "flip-tag", "lose-octet", "inject-untagged"]


@dataclass
class Outcome:
    """What both ends saw."""

    received: list[str | bytes]
    closed: ConnectionClosed
    found: IntegrityError | None
    ending: dict[str, Any]


def talk(
    tampering: str, direction: str, binding: Binding, key: str, at: int = 1, echoes: int = len(MESSAGES)
) -> Outcome:
    """Sends three messages through the man in the middle, awaits so many echoes, and closes."""

    async def scenario(world: World) -> Outcome:
        url = f"{world.tampering_url}/?tamper={tampering}&direction={direction}&at={at}"
        received: list[str | bytes] = []
        ws = await connect(url, **sealing(key), binding=binding)
        try:
            for message in MESSAGES:
                await ws.send(message)
            while len(received) < echoes:
                received.append(await ws.recv())
            await ws.close()
            while True:
                received.append(await ws.recv())
        except ConnectionClosed as error:
            return Outcome(received, error, ws.integrity_error, await world.ending())

    return play(scenario)


def as_received(messages: list[str | bytes]) -> list[list[str]]:
    return [["text", m] if isinstance(m, str) else ["binary", m.hex()] for m in messages]


@both_bindings
@pytest.mark.parametrize("key", ["secret", "x25519"])
@pytest.mark.parametrize("tampering", DELIBERATE)
def test_client_notices_every_change_by_hmac(tampering: str, binding: Binding, key: str) -> None:
    outcome = talk(tampering, "s2c", binding, key)
    assert outcome.received == MESSAGES[: len(outcome.received)]
    assert len(outcome.received) < len(MESSAGES)
    assert isinstance(outcome.closed, ConnectionClosedError)
    assert outcome.closed.rcvd is None  # 1006: never a clean end
    if tampering != "truncate":
        assert isinstance(outcome.found, IntegrityError)
        assert outcome.closed.sent is not None
        finding = "missing" if tampering in ("inject-untagged", "forge-close") else "mismatch"
        assert (outcome.closed.sent.code, outcome.closed.sent.reason) == (1008, f"frame-integrity: {finding}")
        assert outcome.ending["ending"] == f"closed 1008 frame-integrity: {finding}"


@both_bindings
@pytest.mark.parametrize("key", ["secret", "x25519"])
@pytest.mark.parametrize("tampering", DELIBERATE)
def test_peer_notices_every_change_by_hmac(tampering: str, binding: Binding, key: str) -> None:
    outcome = talk(tampering, "c2s", binding, key)
    assert outcome.ending["ending"] in ("mismatch", "missing", "cut")
    received = outcome.ending["received"]
    assert received == as_received(MESSAGES)[: len(received)]
    assert len(received) < len(MESSAGES)
    assert isinstance(outcome.closed, ConnectionClosedError)
    if tampering != "truncate":
        assert outcome.closed.rcvd is not None  # the peer's sealed Close, verified
        assert outcome.closed.rcvd.code == 1008
        assert outcome.closed.rcvd.reason == f"frame-integrity: {outcome.ending['ending']}"


@both_bindings
@pytest.mark.parametrize("tampering", ["flip-close", "drop-close"])
def test_client_notices_a_changed_or_lost_close(tampering: str, binding: Binding) -> None:
    outcome = talk(tampering, "s2c", binding, "secret")
    assert outcome.received == MESSAGES
    assert isinstance(outcome.closed, ConnectionClosedError)
    assert outcome.closed.rcvd is None


@both_bindings
@pytest.mark.parametrize("tampering", ["flip-close", "drop-close"])
def test_peer_notices_a_changed_or_lost_close(tampering: str, binding: Binding) -> None:
    outcome = talk(tampering, "c2s", binding, "secret")
    assert outcome.ending["ending"] in ("mismatch", "cut")
    assert isinstance(outcome.closed, ConnectionClosedError)


@both_bindings
@pytest.mark.parametrize("direction", ["c2s", "s2c"])
def test_loss_of_the_last_message_is_noticed_at_the_close(direction: str, binding: Binding) -> None:
    last = 3 if (binding, direction) == ("message", "s2c") else 2  # the nonce is the first message
    outcome = talk("drop", direction, binding, "secret", at=last, echoes=2)
    assert outcome.received == MESSAGES[:2]
    assert isinstance(outcome.closed, ConnectionClosedError)
    if direction == "c2s":
        assert outcome.ending["ending"] == "mismatch"
    else:
        assert isinstance(outcome.found, IntegrityError)


def test_changed_server_nonce_opens_nothing() -> None:
    outcome = talk("own-nonce", "s2c", "message", "secret", at=0)
    assert outcome.received == []
    assert outcome.ending["received"] == []


@both_bindings
@pytest.mark.parametrize("direction", ["c2s", "s2c"])
@pytest.mark.parametrize("tampering", ACCIDENTAL)
def test_accidents_are_noticed_by_sha_256(tampering: str, direction: str, binding: Binding) -> None:
    outcome = talk(tampering, direction, binding, "none")
    assert isinstance(outcome.closed, ConnectionClosedError)
    if direction == "c2s":
        assert outcome.ending["ending"] in ("mismatch", "missing")
        assert outcome.closed.rcvd is not None
        assert outcome.closed.rcvd.code == 1008
    else:
        assert isinstance(outcome.found, IntegrityError)


@both_bindings
def test_replay_is_not_noticed_by_sha_256(binding: Binding) -> None:
    outcome = talk("replay", "s2c", binding, "none")
    # As documented: an unkeyed hash numbers nothing.
    assert outcome.received == [MESSAGES[0], MESSAGES[1], MESSAGES[1], MESSAGES[2]]


@pytest.mark.parametrize("direction", ["c2s", "s2c"])
def test_new_fragment_borders_break_frames_but_not_messages(direction: str) -> None:
    assert talk("refragment", direction, "message", "secret").received == MESSAGES
    assert talk("refragment", direction, "frame", "secret").received == MESSAGES[:1]
