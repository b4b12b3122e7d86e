"""Frame Integrity from the server's side, written from the protocol text alone.

Nothing here comes from the package under test, nor from a cryptographic library beyond SHA-256:
the two can only agree if both follow the protocol.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass
from typing import Any

Keyring = dict[str, dict[str, str]]
PRIME = 2**255 - 19
BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def b64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().replace("=", "")


def un_b64url(text: str, shortest: int, longest: int) -> bytes | None:
    if not BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        return None
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return octets if shortest <= len(octets) <= longest and b64url(octets) == text else None


def x25519(scalar: bytes, point: bytes) -> bytes:
    """The function of RFC 7748 section 5, by its Montgomery ladder."""
    k = (int.from_bytes(scalar, "little") & ~7 & (1 << 255) - 1) | 1 << 254
    x1 = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, x1, 1, 0
    for bit in reversed(range(255)):
        now = k >> bit & 1
        if swapped ^ now:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % PRIME, c * b % PRIME, a * a % PRIME, b * b % PRIME
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, (aa - bb) * (aa + 121665 * (aa - bb)) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def derive(ikm: bytes, salt: bytes, kid: str, epk: bytes, direction: str) -> bytes:
    extracted = hmac.new(salt, ikm, "sha256").digest()
    info = b"frame-integrity v1\0hmac-sha-256\0" + kid.encode() + b"\0" + epk + b"\0" + direction.encode()
    return hmac.new(extracted, info + b"\1", "sha256").digest()


@dataclass(frozen=True)
class Accepted:
    """An offer that the server takes."""

    binding: str
    algorithm: str
    kid: str | None = None
    client_nonce: bytes = b""
    ephemeral: bytes = b""
    ikm: bytes = b""
    name: str = ""  # message binding: the whole subprotocol name
    subprotocol: str = ""  # message binding: the application's

    def key(self, server_nonce: bytes, direction: str) -> bytes | None:
        if self.kid is None:
            return None
        salt = self.client_nonce + server_nonce
        return derive(self.ikm, salt, self.kid, self.ephemeral, direction)


def judge(
    binding: str, offer: dict[str, str], keyring: Keyring, exporter: bytes | None = None
) -> Accepted | None:
    """The offer if it can be accepted, else ``None``: it is passed over."""
    if offer.get("alg") == "sha-256":
        return Accepted(binding, "sha-256") if set(offer) == {"alg"} else None
    if offer.get("alg") != "hmac-sha-256" or not {"kid", "cn"} <= set(offer) <= {
        "alg",
        "kid",
        "cn",
        "epk",
        "cb",
    }:
        return None
    key, nonce = keyring.get(offer["kid"]), un_b64url(offer["cn"], 16, 64)
    ephemeral = un_b64url(offer["epk"], 32, 32) if "epk" in offer else b""
    if key is None or nonce is None or ephemeral is None or (key["kind"] == "x25519") != bool(ephemeral):
        return None
    if key["kind"] == "x25519":
        ikm = x25519(bytes.fromhex(key["private"]), ephemeral)
        if not any(ikm):
            return None
    else:
        ikm = bytes.fromhex(key["secret"])
    if "cb" in offer:
        if offer["cb"] != "tls-exporter" or exporter is None:
            return None
        ikm += exporter
    return Accepted(binding, "hmac-sha-256", offer["kid"], nonce, ephemeral, ikm)


def judge_extension(text: str, keyring: Keyring, exporter: bytes | None = None) -> Accepted | None:
    """Judges one member of ``Sec-WebSocket-Extensions``."""
    name, *parameters = (part.strip() for part in text.split(";"))
    pairs = [tuple(part.partition("=")[::2]) for part in parameters]
    offer = {key.strip(): value.strip().strip('"') for key, value in pairs}
    if name != "frame-integrity" or len(offer) != len(pairs):
        return None
    return judge("frame", offer, keyring, exporter)


def judge_subprotocol(name: str, keyring: Keyring) -> Accepted | None:
    """Judges one offered subprotocol."""
    fields = name.split("~", 5)
    if len(fields) != 6 or fields[0] != "frame-integrity":
        return None
    offer = {key: value for key, value in zip(("alg", "kid", "cn", "epk"), fields[1:5]) if value}
    accepted = judge("message", offer, keyring)
    if accepted is None:
        return None
    return Accepted(**{**vars(accepted), "name": name, "subprotocol": fields[5]})


class Tags:
    """The tags of one direction."""

    def __init__(self, key: bytes | None) -> None:
        self.key = key
        self.sequence = 0

    def next(self, b0: int, data: bytes) -> bytes:
        if self.key is None:
            return hashlib.sha256(data).digest()
        octets = struct.pack("!QB", self.sequence, b0) + data
        self.sequence += 1
        return hmac.new(self.key, octets, "sha256").digest()

    def seal(self, binding: str, b0: int, data: bytes) -> bytes:
        tag = self.next(b0, data)
        return data + (tag if binding == "frame" or b0 == 0x82 else b64url(tag).encode())

    def unseal(self, binding: str, b0: int, payload: bytes) -> bytes | str:
        """The data, or the word for what is wrong."""
        short = 32 if binding == "frame" or b0 == 0x82 else 43
        if len(payload) < short + (2 if binding == "message" and b0 == 0x88 else 0):
            return "missing"
        data = payload[: len(payload) - short]
        return data if self.seal(binding, b0, data) == payload else "mismatch"


def keyring_of(vectors: dict[str, Any]) -> Keyring:
    return {key["kid"]: key for key in vectors["keys"]}
