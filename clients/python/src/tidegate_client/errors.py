"""What can go wrong beyond what the websockets library already names."""

from __future__ import annotations

from websockets.exceptions import InvalidHandshake, ProtocolError

__all__ = ["IntegrityError", "IntegrityNotAgreed"]


class IntegrityError(ProtocolError):
    """A unit that arrived is not what the peer sent.

    The connection is closed with 1008, the application meets a ``ConnectionClosedError``, and
    ``integrity_error`` of the connection is this exception.
    """

    def __init__(self, finding: str) -> None:
        self.reason = f"frame-integrity: {finding}"
        """The reason of the Close frame: ``frame-integrity: mismatch`` or ``frame-integrity: missing``."""
        super().__init__(self.reason)


class IntegrityNotAgreed(InvalidHandshake):
    """The server did not agree to what was offered, so there is no connection.

    A connection is never left unsealed because the peer, or someone between, preferred it so.
    """
