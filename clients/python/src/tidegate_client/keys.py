"""The keys that a client holds."""

from __future__ import annotations

import re
from typing import Union

from .base64url import decode

__all__ = ["Key", "PublicKey", "SharedKey"]

KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SharedKey:
    """A secret that the proxy holds too.

    Args:
        kid: the key's id in the proxy's keyring.
        secret: 32 to 64 octets, or the same in base64url as ``tidegate keys`` writes it.

    Raises:
        ValueError: if either is malformed.
    """

    def __init__(self, kid: str, secret: bytes | str) -> None:
        self.kid = checked_key_id(kid)
        self.secret = checked_octets("secret", secret)
        if not 32 <= len(self.secret) <= 64:
            raise ValueError(f"secret of key {kid!r} has {len(self.secret)} octets; it must have 32 to 64")

    def __repr__(self) -> str:
        return f"SharedKey(kid={self.kid!r}, secret=...)"


class PublicKey:
    """The public half of an X25519 key whose private half the proxy holds.

    Needs the extra ``tidegate-client[x25519]``.

    Args:
        kid: the key's id in the proxy's keyring.
        public: 32 octets, or the same in base64url as ``tidegate keys public`` prints it.

    Raises:
        ValueError: if either is malformed.
    """

    def __init__(self, kid: str, public: bytes | str) -> None:
        self.kid = checked_key_id(kid)
        self.public = checked_octets("public key", public)
        if len(self.public) != 32:
            raise ValueError(f"public key {kid!r} has {len(self.public)} octets; X25519 keys have 32")

    def __repr__(self) -> str:
        return f"PublicKey(kid={self.kid!r}, public={self.public.hex()})"


Key = Union[SharedKey, PublicKey]


def checked_key_id(kid: str) -> str:
    if KEY_ID.fullmatch(kid) is None:
        raise ValueError(f"key id {kid!r} is not 1 to 64 characters of A-Z a-z 0-9 . _ -")
    return kid


def checked_octets(what: str, value: bytes | str) -> bytes:
    if isinstance(value, bytes):
        return value
    octets = decode(value)
    if octets is None:
        raise ValueError(f"{what} is not base64url without padding (RFC 4648 section 5)")
    return octets
