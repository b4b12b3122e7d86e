"""What the client offers, and what is agreed when the server has answered."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from . import base64url
from .keys import Key, PublicKey, SharedKey
from .schedule import HMAC_SHA_256, SHA_256, TrafficKeys, traffic_keys

__all__ = ["Agreement", "Offer"]

CLIENT_NONCE_LENGTH = 32
SERVER_NONCE_LENGTH = 32


@dataclass(frozen=True)
class Agreement:
    """What a sealed connection uses."""

    algorithm: str
    """``hmac-sha-256`` or ``sha-256``."""
    kid: str | None
    """The key's id; ``None`` with ``sha-256``."""
    binding: str
    """``frame`` or ``message``."""


class Offer:
    """One client's offer for one connection: its nonces are never used twice.

    Args:
        key: the key to use, or ``None`` for ``sha-256``.
        client_nonce: 16 to 64 octets; drawn if not given.
        ephemeral_private: 32 octets, with a ``PublicKey`` alone; drawn if not given.

    Raises:
        RuntimeError: if the key needs X25519 and the extra is not installed.
        ValueError: if the public key leads to an all-zero shared secret.
    """

    def __init__(
        self,
        key: Key | None,
        *,
        client_nonce: bytes | None = None,
        ephemeral_private: bytes | None = None,
    ) -> None:
        self.algorithm = SHA_256 if key is None else HMAC_SHA_256
        self.kid = None if key is None else key.kid
        self.client_nonce = client_nonce or secrets.token_bytes(CLIENT_NONCE_LENGTH)
        self.ephemeral_public = b""
        self._keying_material = b""
        if isinstance(key, SharedKey):
            self._keying_material = key.secret
        elif key is not None:
            ephemeral_private = ephemeral_private or secrets.token_bytes(32)
            self.ephemeral_public, self._keying_material = exchange(ephemeral_private, key)

    def traffic_keys(self, server_nonce: str) -> TrafficKeys | None:
        """The connection's keys, or ``None`` if the nonce is malformed.

        Args:
            server_nonce: as the server wrote it, in base64url.
        """
        octets = base64url.decode(server_nonce)
        if self.kid is None or octets is None or len(octets) != SERVER_NONCE_LENGTH:
            return None
        return traffic_keys(
            keying_material=self._keying_material,
            salt=self.client_nonce + octets,
            kid=self.kid,
            ephemeral_public=self.ephemeral_public,
        )

    def described(self) -> str:
        """The offer in words, for errors."""
        key = "" if self.kid is None else f" and key {self.kid}"
        return f"frame-integrity with {self.algorithm}{key}"

    def agreement(self, binding: str) -> Agreement:
        return Agreement(self.algorithm, self.kid, binding)


def exchange(ephemeral_private: bytes, key: PublicKey) -> tuple[bytes, bytes]:
    """The client's ephemeral public key and the shared secret (RFC 7748 section 6.1)."""
    try:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    except ImportError:
        raise RuntimeError("a PublicKey needs X25519: pip install 'tidegate-client[x25519]'") from None
    private = X25519PrivateKey.from_private_bytes(ephemeral_private)
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(key.public))
    except ValueError:
        # The library refuses the all-zero result, which a low-order public key leads to.
        raise ValueError(f"public key {key.kid!r} is of low order; it cannot be used") from None
    return private.public_key().public_bytes_raw(), shared
