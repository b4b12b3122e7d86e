"""Sealed connections where nobody interferes."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from conftest import World, play, sealing, vector_key
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus, ProtocolError
from websockets.typing import Subprotocol

from tidegate_client import Agreement, IntegrityError, IntegrityNotAgreed, SharedKey, connect

Binding = Literal["frame", "message"]
BINDINGS: list[Binding] = ["frame", "message"]
KEYS = ["secret", "x25519", "none"]
both_bindings = pytest.mark.parametrize("binding", BINDINGS)
every_key = pytest.mark.parametrize("key", KEYS)


@both_bindings
@every_key
def test_messages_of_every_kind_are_echoed(binding: Binding, key: str) -> None:
    messages: list[str | bytes] = ["", "Grüße", b"", b"\x00\xff" * 100, "a" * 70_000, b"b" * 65_504]

    async def scenario(world: World) -> dict[str, Any]:
        async with connect(world.url, **sealing(key), binding=binding) as ws:
            for message in messages:
                await ws.send(message)
                assert await ws.recv() == message
        return await world.ending()

    ending = play(scenario)
    assert ending["ending"] == "closed 1000"
    assert ending["binding"] == binding
    assert len(ending["received"]) == len(messages)


@both_bindings
def test_agreement_is_told(binding: Binding) -> None:
    async def scenario(world: World) -> tuple[Agreement, Agreement]:
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            keyed = ws.integrity
        async with connect(world.url, **sealing("none"), binding=binding) as ws:
            return keyed, ws.integrity

    keyed, hashed = play(scenario)
    assert keyed == Agreement("hmac-sha-256", "edge-2026-11", binding)
    assert hashed == Agreement("sha-256", None, binding)


@both_bindings
def test_fragments_are_sealed_in_both_directions(binding: Binding) -> None:
    async def scenario(world: World) -> None:
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            await ws.send(["Hel", "lo ", "there"])
            assert await ws.recv() == "Hello there"
            await ws.send("!pieces")
            assert await ws.recv() == "Grüße!"
            await ws.send("!pieces")
            assert "".join([str(piece) async for piece in ws.recv_streaming()]) == "Grüße!"

    play(scenario)


@both_bindings
def test_subprotocol_is_that_of_the_application(binding: Binding) -> None:
    async def scenario(world: World) -> tuple[str | None, str | None]:
        names = [Subprotocol("chat"), Subprotocol("chat.v2")]
        url = f"{world.url}/?select=chat.v2"
        async with connect(url, key=vector_key("secret"), binding=binding, subprotocols=names) as ws:
            selected = ws.subprotocol
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            return selected, ws.subprotocol

    assert play(scenario) == ("chat.v2", None)


@both_bindings
@every_key
def test_sealed_close_with_code_and_reason_passes_both_ways(binding: Binding, key: str) -> None:
    async def scenario(world: World) -> tuple[ConnectionClosedError, str]:
        url = world.url
        async with connect(url, **sealing(key), binding=binding) as ws:
            await ws.send("!close 4001 bis später")
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
        await world.ending()
        async with connect(url, **sealing(key), binding=binding) as ws:
            await ws.close(4002, "tschüß")
        return closed.value, (await world.ending())["ending"]

    closed, ending = play(scenario)
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "bis später")
    assert ending == "closed 4002 tschüß"


@both_bindings
def test_close_reason_fills_the_frame_to_the_last_octet(binding: Binding) -> None:
    limit = 91 if binding == "frame" else 80

    async def scenario(world: World) -> str:
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            with pytest.raises(ProtocolError, match=f"{limit} octets"):
                await ws.close(4000, "x" * (limit + 1))
            await ws.close(4000, "x" * limit)
        ending: str = (await world.ending())["ending"]
        return ending

    assert play(scenario) == "closed 4000 " + "x" * limit


@both_bindings
def test_normal_close_by_the_server_ends_iteration(binding: Binding) -> None:
    async def scenario(world: World) -> list[str | bytes]:
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            await ws.send("one")
            await ws.send("!close 1000")
            return [message async for message in ws]

    assert play(scenario) == ["one"]


@both_bindings
@pytest.mark.parametrize("order", ["!cut", "!plain-close"])
def test_end_without_sealed_close_is_abnormal(binding: Binding, order: str) -> None:
    async def scenario(world: World) -> int | None:
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            await ws.send(order)
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd is None
        return ws.close_code

    assert play(scenario) == 1006


@both_bindings
def test_limit_counts_data_without_tags(binding: Binding) -> None:
    async def scenario(world: World) -> ConnectionClosedError:
        async with connect(world.url, key=vector_key("secret"), binding=binding, max_size=1000) as ws:
            for message in ("x" * 1000, b"x" * 1000):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(b"x" * 1001)
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
        assert (await world.ending())["ending"].startswith("closed 1009")
        return closed.value

    closed = play(scenario)
    assert closed.sent is not None
    assert closed.sent.code == 1009


@both_bindings
def test_limit_holds_for_fragmented_messages(binding: Binding) -> None:
    async def scenario(world: World) -> ConnectionClosedError:
        async with connect(world.url, key=vector_key("secret"), binding=binding, max_size=7) as ws:
            await ws.send("!pieces")  # eight octets of data
            assert await ws.recv() == "Grüße!"
        raise AssertionError("eight octets came through a limit of seven")

    with pytest.raises(ConnectionClosedError) as closed:
        play(scenario)
    assert closed.value.sent is not None
    assert closed.value.sent.code == 1009


@both_bindings
def test_pings_are_answered_and_not_sealed(binding: Binding) -> None:
    async def scenario(world: World) -> None:
        async with connect(world.url, key=vector_key("secret"), binding=binding) as ws:
            await (await ws.ping(b"are you there"))
            await ws.send("still in step")
            assert await ws.recv() == "still in step"

    play(scenario)


def test_reconnecting_draws_new_nonces() -> None:
    async def scenario(world: World) -> list[str]:
        offers = []
        async for ws in connect(world.url, key=vector_key("secret")):
            assert ws.request is not None
            offers.append(ws.request.headers["Sec-WebSocket-Extensions"])
            if len(offers) == 2:
                await ws.close()
                break
        return offers

    first, second = play(scenario)
    assert first != second


@both_bindings
@pytest.mark.parametrize("answer", ["none", "nonce"])
def test_server_that_does_not_agree_is_refused(binding: Binding, answer: str) -> None:
    async def scenario(world: World) -> None:
        await connect(f"{world.url}/?answer={answer}", key=vector_key("secret"), binding=binding)

    with pytest.raises(IntegrityNotAgreed):
        play(scenario)


@pytest.mark.parametrize("answer", ["algorithm", "kid", "extra", "twice"])
@pytest.mark.parametrize("key", ["secret", "none"])
def test_answer_to_what_was_not_offered_is_refused(answer: str, key: str) -> None:
    if (answer, key) == ("kid", "none"):
        pytest.skip("sha-256 has no key id")

    async def scenario(world: World) -> None:
        await connect(f"{world.url}/?answer={answer}", **sealing(key))

    with pytest.raises(IntegrityNotAgreed):
        play(scenario)


def test_server_that_never_sends_its_nonce_meets_the_open_timeout() -> None:
    async def scenario(world: World) -> None:
        url = f"{world.url}/?answer=silence"
        await connect(url, key=vector_key("secret"), binding="message", open_timeout=0.2)

    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        play(scenario)


@both_bindings
def test_unknown_key_is_refused_by_the_server(binding: Binding) -> None:
    async def scenario(world: World) -> None:
        await connect(world.url, key=SharedKey("nobody", b"x" * 32), binding=binding)

    with pytest.raises(InvalidStatus):
        play(scenario)


@both_bindings
def test_wrong_secret_is_noticed_by_both_ends(binding: Binding) -> None:
    async def scenario(world: World) -> tuple[str, IntegrityError | None]:
        key = SharedKey("edge-2026-11", b"x" * 32)
        async with connect(world.url, key=key, binding=binding) as ws:
            await ws.send("hello")
            with pytest.raises(ConnectionClosedError):
                await ws.recv()
        return (await world.ending())["ending"], ws.integrity_error

    ending, found = play(scenario)
    assert ending == "mismatch"
    assert isinstance(found, IntegrityError)  # the Close that says so is sealed with another key


def test_clean_close_is_not_an_error() -> None:
    async def scenario(world: World) -> None:
        async with connect(world.url, key=vector_key("secret")) as ws:
            await ws.close()
            with pytest.raises(ConnectionClosedOK):
                await ws.recv()

    play(scenario)
