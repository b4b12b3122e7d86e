"""What a connection is made with: nothing is guessed; what is wrong is refused before anything is sent."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from conftest import World, play, vector_key
from websockets.asyncio import client

from tidegate_client import Agreement, PublicKey, SharedKey, connect
from tidegate_client.offer import Offer

KEY = SharedKey("k", b"x" * 32)
BY_NAME = 'ask for algorithm "sha-256" by name'


def made(**options: Any) -> connect:
    """Not awaited: what is wrong is found at once."""
    return connect("ws://127.0.0.1:9", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, f"^nothing says how to seal; give a key, or {BY_NAME}"),
        ({"key": None}, f"^key is None; .* leave key out and {BY_NAME}"),
        ({"key": None, "algorithm": "sha-256"}, "^key is None;"),
        ({"kee": KEY}, r"^connect\(\) got an unexpected keyword argument 'kee'; did you mean 'key'\?$"),
        ({"kee": KEY, "algorithm": "sha-256"}, "'kee'; did you mean 'key'"),
        ({"Key": KEY}, "'Key'; did you mean 'key'"),
        ({"key": KEY, "bindings": "message"}, "'bindings'; did you mean 'binding'"),
        ({"key": KEY, "opentimeout": 1}, "'opentimeout'; did you mean 'open_timeout'"),
        ({"key": KEY, "nonsense": 1}, "unexpected keyword argument 'nonsense'$"),
        ({"key": KEY, "protocol_factory": object}, "'protocol_factory'"),
        ({"algorithm": "hmac-sha-256"}, "^hmac-sha-256 takes a key"),
        ({"key": "c2VjcmV0"}, "^key is a str; it must be a SharedKey or a PublicKey$"),
        ({"key": b"x" * 32}, "^key is a bytes;"),
        ({"key": ("k", b"x" * 32)}, "^key is a tuple;"),
    ],
)
def test_what_is_missing_or_unknown_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        made(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "sha-256", "key": KEY}, "^sha-256 takes no key; leave key out"),
        ({"algorithm": "md5"}, '^algorithm is \'md5\'; it must be "hmac-sha-256" or "sha-256"$'),
        ({"algorithm": "", "key": KEY}, "^algorithm is ''"),
        ({"binding": "packet", "key": KEY}, "binding"),
        ({"compression": "deflate", "key": KEY}, "compression"),
        ({"extensions": [1], "key": KEY}, "extensions"),
        ({"create_connection": object, "key": KEY}, "create_connection"),
    ],
)
def test_options_that_would_undo_the_seal_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_options_of_the_websockets_library_and_of_the_event_loop_are_taken() -> None:
    made(key=KEY, host="127.0.0.1", port=1, local_addr=("127.0.0.1", 0), family=2, proxy=None, open_timeout=1)
    made(key=KEY, unix=True, path="/nowhere")
    own = {"self", "uri", "uri_or_wsuri", "key", "extensions", "compression", "create_connection", "kwargs"}
    theirs = set(inspect.signature(client.connect.__init__).parameters) - own
    made(key=KEY, **dict.fromkeys(theirs))


@pytest.mark.parametrize(
    ("options", "agreement"),
    [
        ({"key": vector_key("secret")}, Agreement("hmac-sha-256", "edge-2026-11", "frame")),
        (
            {"key": vector_key("secret"), "algorithm": "hmac-sha-256"},
            Agreement("hmac-sha-256", "edge-2026-11", "frame"),
        ),
        ({"algorithm": "sha-256"}, Agreement("sha-256", None, "frame")),
    ],
)
def test_what_is_asked_for_is_offered_and_agreed(options: dict[str, Any], agreement: Agreement) -> None:
    async def scenario(world: World) -> Agreement:
        async with connect(world.url, **options) as ws:
            return ws.integrity

    assert play(scenario) == agreement


def test_an_offer_is_never_keyed_with_nothing() -> None:
    class NoKey:
        kid = "k"

    with pytest.raises(AttributeError):
        Offer(NoKey())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (b"x" * 31, "^secret of key 'k' has 31 bytes; it must have 32 to 64$"),
        (b"x" * 65, "has 65 bytes"),
        (b"", "^secret of key 'k' is empty; give 32 to 64 bytes, or the same in base64url$"),
        ("", "^secret of key 'k' is empty;"),
        ("AAAA", "has 3 bytes"),
        ("not base64url!", "is not base64url without padding"),
        ("eHh4eA==", "is not base64url without padding"),
    ],
)
def test_malformed_secret_is_refused(secret: bytes | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SharedKey("k", secret)


@pytest.mark.parametrize("public", [b"", b"x" * 31, b"x" * 33, "", "AAAA", "A" * 42 + "="])
def test_malformed_public_key_is_refused(public: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"^public part of key 'k' "):
        PublicKey("k", public)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "is missing: it is None; give 32"),
        (7, "is an int; give 32"),
        (bytearray(32), "is a bytearray; give 32"),
        ([0] * 32, "is a list; give 32"),
    ],
)
@pytest.mark.parametrize(("kind", "name"), [(SharedKey, "secret"), (PublicKey, "public part")])
def test_key_without_its_value_says_what_is_missing(kind: Any, name: str, value: Any, found: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} of key 'k' {found}"):
        kind("k", value)


@pytest.mark.parametrize("kid", ["", "x" * 65, "a b", "a~b", "ä", "a\n"])
@pytest.mark.parametrize("kind", [SharedKey, PublicKey])
def test_malformed_key_id_is_refused(kind: Any, kid: str) -> None:
    with pytest.raises(ValueError, match="is not 1 to 64 characters of A-Z a-z 0-9"):
        kind(kid, b"x" * 32)


@pytest.mark.parametrize(
    ("kid", "message"),
    [
        (None, "^key id is missing: kid is None; it must be 1 to 64"),
        (7, "^key id is an int"),
        (b"k", "^key id is a bytes"),
    ],
)
@pytest.mark.parametrize("kind", [SharedKey, PublicKey])
def test_missing_key_id_is_refused(kind: Any, kid: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        kind(kid, b"x" * 32)


def test_secret_is_not_in_the_representation() -> None:
    assert repr(SharedKey("k", b"S" * 32)) == "SharedKey(kid='k', secret=...)"


@pytest.mark.parametrize("secret", ["U0VDUkVUIFNFQ1JFVA==", "U0VDUkVU", b"SECRET", [83, 69]])
def test_errors_about_a_key_do_not_show_its_secret(secret: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as refusal:
        SharedKey("k", secret)
    assert not any(part in str(refusal.value) for part in ("U0VD", "SECRET", "83"))
