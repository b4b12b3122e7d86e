"""``connect``: the websockets library's own, for sealed connections."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any, Literal, cast

from websockets.asyncio import client
from websockets.client import ClientProtocol
from websockets.typing import Origin, Subprotocol

from .errors import IntegrityError, IntegrityNotAgreed
from .keys import Key
from .message_binding import WithheldFrame
from .offer import Agreement, Offer
from .options import NOT_GIVEN, TAKEN, Algorithm, NotGiven, refuse_taken, refuse_unknown, sealing_key
from .protocol import MaxSize, SealedClientProtocol, sealed_protocol

__all__ = ["SealedClientConnection", "connect"]


class SealedClientConnection(client.ClientConnection):
    """A websockets ``ClientConnection`` that seals what it sends and verifies what it receives."""

    protocol: SealedClientProtocol

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._keys_settled: asyncio.Future[None] = self.loop.create_future()

    @property
    def integrity(self) -> Agreement:
        """What was agreed: the algorithm, the key's id and the binding."""
        return self.protocol.agreement

    @property
    def integrity_error(self) -> IntegrityError | None:
        """Why the connection was closed with 1008 by this side, if it was."""
        error = self.protocol.parser_exc
        return error if isinstance(error, IntegrityError) else None

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        await super().handshake(*args, **kwargs)
        if not self.protocol.ready:
            await asyncio.wait(
                [self._keys_settled, self.connection_lost_waiter],
                return_when=asyncio.FIRST_COMPLETED,
            )
        if not self.protocol.ready:
            raise IntegrityNotAgreed(
                "the server's first message is not its nonce"
            ) from self.protocol.parser_exc

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        settled = self.protocol.ready or self.protocol.failed
        if settled and not self._keys_settled.done():
            self._keys_settled.set_result(None)

    def process_event(self, event: Any) -> None:
        if not isinstance(event, WithheldFrame):
            super().process_event(event)


class connect(client.connect):
    """Opens a sealed connection.

    Used like :class:`websockets.asyncio.client.connect`: in ``async with``, in ``async for`` to
    reconnect, or awaited. It takes the same arguments, except that ``extensions``, ``compression`` and
    ``create_connection`` are taken care of.

    Args:
        uri: where to connect to.
        key: a :class:`SharedKey` or a :class:`PublicKey`, for ``hmac-sha-256``.
        algorithm: ``"sha-256"`` to go without a key, which notices accidents only; nothing falls back to it.
        binding: ``"frame"`` seals every frame by a WebSocket extension, ``"message"`` whole messages by
            a subprotocol, for servers between that do not pass extensions on.
        subprotocols: those of the application, in order of preference.
        max_size: limit of an incoming message, in octets of data without tags.

    Raises:
        TypeError: if an argument is unknown, if there is neither a key nor ``algorithm="sha-256"``, or if the
            key is ``None`` or no key.
        ValueError: if arguments do not fit together, or have another value than they may have.
        IntegrityNotAgreed: if the server did not accept; the connection is not opened.
    """

    def __init__(
        self,
        uri: str,
        *,
        key: Key | NotGiven = NOT_GIVEN,
        algorithm: Algorithm | None = None,
        binding: Literal["frame", "message"] = "frame",
        origin: Origin | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        max_size: MaxSize = 2**20,
        logger: Any = None,
        **options: Any,
    ) -> None:
        if binding not in ("frame", "message"):
            raise ValueError(f'binding is {binding!r}; it must be "frame" or "message"')
        refuse_unknown(options, connect.__init__)
        refuse_taken(options)
        checked_key = sealing_key(key, algorithm)
        options = {name: value for name, value in options.items() if name not in TAKEN}

        class Connection(SealedClientConnection):
            # One offer for each connection: nonces are not for use twice, not even on a redirect.
            def __init__(self, protocol: ClientProtocol, **connection_options: Any) -> None:
                sealed = sealed_protocol(
                    requested_uri(protocol),
                    offer=Offer(checked_key),
                    binding=binding,
                    origin=origin,
                    subprotocols=subprotocols,
                    max_size=max_size,
                    logger=logger,
                )
                super().__init__(sealed, **connection_options)

        super().__init__(uri, compression=None, create_connection=Connection, logger=logger, **options)

    async def __aenter__(self) -> SealedClientConnection:
        return cast(SealedClientConnection, await super().__aenter__())

    def __await__(self) -> Generator[Any, None, SealedClientConnection]:
        return cast(Generator[Any, None, SealedClientConnection], super().__await__())


def requested_uri(protocol: ClientProtocol) -> Any:
    """The parsed URI, which older releases of the websockets library call ``wsuri``."""
    return getattr(protocol, "uri", None) or getattr(protocol, "wsuri", None)
