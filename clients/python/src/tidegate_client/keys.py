"""The keys that a client holds."""

from __future__ import annotations

import re
from typing import Union

from .base64url import decode

__all__ = ["Key", "PublicKey", "SharedKey"]

KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
KEY_ID_RULE = "1 to 64 characters of A-Z a-z 0-9 . _ -"


class SharedKey:
    """A secret that the proxy holds too.

    Args:
        kid: the key's id in the proxy's keyring.
        secret: 32 to 64 bytes, or the same in base64url as ``tidegate keys`` writes it.

    Raises:
        TypeError: if either is missing (``None``) or of another type.
        ValueError: if either is malformed.
    """

    def __init__(self, kid: str, secret: bytes | str) -> None:
        self.kid = checked_key_id(kid)
        self.secret = checked_bytes(f"secret of key {kid!r}", secret, 32, 64)

    def __repr__(self) -> str:
        return f"SharedKey(kid={self.kid!r}, secret=...)"


class PublicKey:
    """The public half of an X25519 key whose private half the proxy holds.

    Needs the extra ``tidegate-client[x25519]``.

    Args:
        kid: the key's id in the proxy's keyring.
        public: 32 bytes, or the same in base64url as ``tidegate keys public`` prints it.

    Raises:
        TypeError: if either is missing (``None``) or of another type.
        ValueError: if either is malformed.
    """

    def __init__(self, kid: str, public: bytes | str) -> None:
        self.kid = checked_key_id(kid)
        self.public = checked_bytes(f"public part of key {kid!r}", public, 32, 32)

    def __repr__(self) -> str:
        return f"PublicKey(kid={self.kid!r}, public={self.public.hex()})"


Key = Union[SharedKey, PublicKey]


def checked_key_id(kid: str) -> str:
    if kid is None:
        raise TypeError(f"key id is missing: kid is None; it must be {KEY_ID_RULE}")
    if not isinstance(kid, str):
        raise TypeError(f"key id is {kind_of(kid)}; it must be a string of {KEY_ID_RULE}")
    if KEY_ID.fullmatch(kid) is None:
        raise ValueError(f"key id {kid!r} is not {KEY_ID_RULE}")
    return kid


def checked_bytes(name: str, value: bytes | str, shortest: int, longest: int) -> bytes:
    wanted = str(shortest) if shortest == longest else f"{shortest} to {longest}"
    give = f"give {wanted} bytes, or the same in base64url"
    if value is None:
        raise TypeError(f"{name} is missing: it is None; {give}")
    if not isinstance(value, (bytes, str)):
        raise TypeError(f"{name} is {kind_of(value)}; {give}")
    if not value:
        raise ValueError(f"{name} is empty; {give}")
    found = value if isinstance(value, bytes) else decode(value)
    if found is None:
        raise ValueError(f"{name} is not base64url without padding (RFC 4648 section 5)")
    if not shortest <= len(found) <= longest:
        raise ValueError(f"{name} has {len(found)} bytes; it must have {wanted}")
    return found


def kind_of(value: object) -> str:
    """What a value is, without the value itself: it may be a secret."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"
