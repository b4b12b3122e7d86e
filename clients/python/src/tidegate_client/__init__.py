"""WebSocket connections on which every frame, or every message, carries a tag.

:func:`connect` opens one. What the tag protects, and what it does not, is in
``docs/frame-integrity.md`` of the tidegate repository.
"""

from .connection import SealedClientConnection, connect
from .errors import IntegrityError, IntegrityNotAgreed
from .keys import Key, PublicKey, SharedKey
from .offer import Agreement

__all__ = [
    "Agreement",
    "IntegrityError",
    "IntegrityNotAgreed",
    "Key",
    "PublicKey",
    "SealedClientConnection",
    "SharedKey",
    "connect",
]
