"""Base64url without padding (RFC 4648 section 5), in its one canonical form."""

from __future__ import annotations

import base64
import binascii

__all__ = ["decode", "encode"]


def encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes | None:
    """The octets, or ``None`` for anything that :func:`encode` would not have written."""
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return octets if encode(octets) == text else None
