"""The guide's worked example is that of the vectors."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import REPOSITORY
from reference_integrity import Tags

GUIDE = REPOSITORY / "docs/frame-integrity.md"
needs_guide = pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not part of this checkout")


@needs_guide
def test_example_is_that_of_the_vectors(vectors: dict[str, Any]) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    octets = re.sub(r"\s+|data, masked|tag, masked", "", guide)
    key = next(key for key in vectors["keys"] if key["kind"] == "secret")
    schedule = next(row for row in vectors["schedules"] if row["name"] == "secret")
    handshake = vectors["handshakes"][0]
    frame = first_unit(vectors, "frame", "frames")
    for value in (key["secret"], schedule["cn"], schedule["sn"], schedule["k_c2s"], frame["tag"]):
        assert value in guide
    assert f"> Sec-WebSocket-Extensions: {handshake['offer']}" in guide
    assert f"< Sec-WebSocket-Extensions: {handshake['answer']}" in guide
    assert frame["wire"] in octets
    assert f"810c{frame['data']}" in octets
    assert bytes.fromhex(first_unit(vectors, "message", "messages")["payload"]).decode() in guide


@needs_guide
def test_example_follows_from_its_own_octets(vectors: dict[str, Any]) -> None:
    frame = first_unit(vectors, "frame", "frames")
    schedule = next(row for row in vectors["schedules"] if row["name"] == "secret")
    assert Tags(bytes.fromhex(schedule["k_c2s"])).next(0x81, "Grüße, wss".encode()).hex() == frame["tag"]
    info = b"frame-integrity v1\0hmac-sha-256\0edge-2026-11\0\0c2s".hex()
    line = re.search(r"^info +([0-9a-f ]+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    assert line.group(1).replace(" ", "") == info


def first_unit(vectors: dict[str, Any], binding: str, units: str) -> dict[str, Any]:
    """The first client-to-server unit under the secret."""
    wanted = (binding, "secret", "c2s")
    row = next(r for r in vectors["units"] if (r["binding"], r["schedule"], r["direction"]) == wanted)
    unit: dict[str, Any] = row[units][0]
    return unit
