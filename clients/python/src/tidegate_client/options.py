"""What ``connect`` is called with. Nothing is guessed here.

An option that is misspelt, or a key that is not there, would end in a connection that seals less than was
meant, and nobody would notice.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
from collections.abc import Collection, Mapping
from typing import Any, Callable, Literal

from websockets.asyncio import client

from .keys import Key, PublicKey, SharedKey, kind_of
from .schedule import HMAC_SHA_256, SHA_256

__all__ = ["NOT_GIVEN", "TAKEN", "Algorithm", "NotGiven", "refuse_taken", "refuse_unknown", "sealing_key"]

Algorithm = Literal["hmac-sha-256", "sha-256"]
BY_NAME = 'ask for algorithm "sha-256" by name, which notices accidents only'
TAKEN = ("extensions", "compression", "create_connection")


class NotGiven:
    """The default of an argument that must have a value where it is given."""

    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN = NotGiven()


def sealing_key(key: Key | NotGiven, algorithm: Algorithm | None) -> Key | None:
    """The key to seal with; ``None`` if ``sha-256`` was asked for by name."""
    if algorithm not in (None, HMAC_SHA_256, SHA_256):
        raise ValueError(f'algorithm is {algorithm!r}; it must be "hmac-sha-256" or "sha-256"')
    if key is None:
        raise TypeError(f"key is None; give a SharedKey or a PublicKey, or leave key out and {BY_NAME}")
    if isinstance(key, NotGiven):
        if algorithm == SHA_256:
            return None
        if algorithm == HMAC_SHA_256:
            raise TypeError("hmac-sha-256 takes a key; give one as key")
        raise TypeError(f"nothing says how to seal; give a key, or {BY_NAME}")
    if not isinstance(key, (SharedKey, PublicKey)):
        raise TypeError(f"key is {kind_of(key)}; it must be a SharedKey or a PublicKey")
    if algorithm == SHA_256:
        raise ValueError("sha-256 takes no key; leave key out, or ask for hmac-sha-256")
    return key


def refuse_taken(options: Mapping[str, Any]) -> None:
    """Refuses what would undo the seal."""
    for taken in TAKEN:
        if options.get(taken) is not None:
            raise ValueError(f"{taken} cannot be chosen on a sealed connection")


def refuse_unknown(options: Mapping[str, Any], own: Callable[..., None]) -> None:
    """Refuses what nobody would take; the websockets library notices it only when it connects."""
    # What that library does not name it passes on to the event loop; with "proxy_", for the way to a proxy.
    of_loop = parameters(asyncio.BaseEventLoop.create_connection)
    of_loop |= parameters(asyncio.AbstractEventLoop.create_unix_connection) | {"unix"}
    of_loop -= {"protocol_factory"}
    known = parameters(own) | parameters(client.connect.__init__)
    known |= of_loop | {f"proxy_{name}" for name in of_loop}
    for name in options:
        if name not in known:
            raise TypeError(f"connect() got an unexpected keyword argument {name!r}{hint(name, known)}")


def parameters(function: Callable[..., Any]) -> set[str]:
    """The names that a function takes as keyword arguments."""
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in named if parameter.kind not in unnamed} - {"self"}


def hint(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
