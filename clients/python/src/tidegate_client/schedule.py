"""From a key and two nonces to one traffic key for each direction."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

__all__ = ["HMAC_SHA_256", "SHA_256", "TrafficKeys", "traffic_keys"]

SHA_256 = "sha-256"
HMAC_SHA_256 = "hmac-sha-256"


@dataclass(frozen=True)
class TrafficKeys:
    """32 octets for each direction."""

    client_to_server: bytes = field(repr=False)
    server_to_client: bytes = field(repr=False)


def traffic_keys(*, keying_material: bytes, salt: bytes, kid: str, ephemeral_public: bytes) -> TrafficKeys:
    """The keys of one connection.

    Args:
        keying_material: the shared secret, or the result of X25519.
        salt: the client's nonce, then the server's.
        kid: the key's id.
        ephemeral_public: the client's ephemeral public key; empty for a shared secret.
    """
    pseudorandom_key = hmac.digest(salt, keying_material, "sha256")
    context = b"\x00".join(
        (b"frame-integrity v1", HMAC_SHA_256.encode("ascii"), kid.encode("ascii"), ephemeral_public)
    )
    return TrafficKeys(
        expand(pseudorandom_key, context + b"\x00c2s"),
        expand(pseudorandom_key, context + b"\x00s2c"),
    )


def expand(pseudorandom_key: bytes, info: bytes) -> bytes:
    """HKDF-Expand to 32 octets: with SHA-256 that is its first block (RFC 5869 section 2.3)."""
    return hmac.digest(pseudorandom_key, info + b"\x01", hashlib.sha256)
