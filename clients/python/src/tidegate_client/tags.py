"""The tags of one direction, in order."""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol, Union

from .errors import IntegrityError

__all__ = ["TAG_LENGTH", "RunningTag", "TagSequence"]

TAG_LENGTH = 32

Octets = Union[bytes, bytearray, memoryview]


class RunningTag(Protocol):
    """A tag whose data is still arriving."""

    def update(self, data: Octets, /) -> None: ...

    def digest(self) -> bytes: ...


class TagSequence:
    """Makes the tags of the units sent in one direction.

    Args:
        key: the direction's traffic key, or ``None`` for ``sha-256``, which numbers nothing and
            so notices neither replay nor loss of whole units.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._count = 0

    def begin(self, first_octet: int) -> RunningTag:
        """Starts the next unit's tag; :meth:`finish` counts the unit."""
        if self._key is None:
            return hashlib.sha256()
        prefix = self._count.to_bytes(8, "big") + bytes((first_octet,))
        return hmac.new(self._key, prefix, hashlib.sha256)

    def finish(self, running: RunningTag) -> bytes:
        self._count += 1
        return running.digest()

    def tag(self, first_octet: int, data: Octets) -> bytes:
        """The next unit's tag."""
        running = self.begin(first_octet)
        running.update(data)
        return self.finish(running)

    def verify(self, first_octet: int, data: Octets, tag: bytes) -> None:
        """Checks the next unit's tag in constant time.

        Raises:
            IntegrityError: if it does not match.
        """
        if not hmac.compare_digest(self.tag(first_octet, data), tag):
            raise IntegrityError("mismatch")
