"""The websockets library's client protocol, made to insist on a sealed connection.

Three things are added to what an extension alone can do: the handshake fails unless the server agreed,
a failed verification closes with 1008 and not with 1002, and Close reasons leave room for the tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.extensions.base import ClientExtensionFactory, Extension
from websockets.frames import CloseCode
from websockets.typing import Origin, Subprotocol

from .errors import IntegrityNotAgreed
from .frame_binding import FrameBinding, FrameBindingFactory
from .message_binding import MessageBinding, application_subprotocol, sealed_subprotocols
from .offer import Agreement, Offer

__all__ = [
    "MaxSize",
    "SealedClientProtocol",
    "SealedFramesProtocol",
    "SealedMessagesProtocol",
    "sealed_protocol",
]

MaxSize = Union[int, None, tuple[Optional[int], Optional[int]]]
"""The limit of a message, or of a message and of a fragment, in octets of data."""


class SealedClientProtocol(ClientProtocol):
    """What both bindings share."""

    binding: str
    reason_limit: int

    def __init__(self, uri: Any, offer: Offer, **options: Any) -> None:
        super().__init__(uri, **options)
        self.offer = offer
        self.failed = False

    @property
    def agreement(self) -> Agreement:
        return self.offer.agreement(self.binding)

    @property
    def ready(self) -> bool:
        """Whether the traffic keys are known."""
        raise NotImplementedError

    def process_extensions(self, headers: Headers) -> list[Extension]:
        try:
            return list(super().process_extensions(headers))
        except NegotiationError as error:
            raise IntegrityNotAgreed(f"the server answered what was not offered: {error}") from error

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        self.failed = True
        if reason.startswith("frame-integrity: "):  # the words of an IntegrityError
            code = CloseCode.POLICY_VIOLATION
        if not self.ready:  # nothing can be sealed yet, so nothing is sent
            code = CloseCode.ABNORMAL_CLOSURE
        super().fail(code, shortened(reason, self.reason_limit))


class SealedFramesProtocol(SealedClientProtocol):
    """One connection in the frame binding."""

    binding = "frame"
    reason_limit = FrameBinding.reason_limit

    @property
    def ready(self) -> bool:
        return bool(self.extensions)

    def process_extensions(self, headers: Headers) -> list[Extension]:
        accepted = super().process_extensions(headers)
        if not accepted:
            raise IntegrityNotAgreed(f"the server did not accept {self.offer.described()}")
        return accepted


class SealedMessagesProtocol(SealedClientProtocol):
    """One connection in the message binding."""

    binding = "message"
    reason_limit = MessageBinding.reason_limit

    def __init__(self, uri: Any, offer: Offer, message_limit: int | None, **options: Any) -> None:
        super().__init__(uri, offer, **options)
        self._messages = MessageBinding(offer, message_limit)

    @property
    def ready(self) -> bool:
        return self._messages.ready

    def process_extensions(self, headers: Headers) -> list[Extension]:
        super().process_extensions(headers)  # none was offered: any answer is refused
        return [self._messages]

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        selected = super().process_subprotocol(headers)
        if selected is None:
            raise IntegrityNotAgreed(f"the server did not accept {self.offer.described()}")
        return application_subprotocol(selected)


def sealed_protocol(
    uri: Any,
    *,
    offer: Offer,
    binding: str,
    origin: Origin | None,
    subprotocols: Sequence[Subprotocol] | None,
    max_size: MaxSize,
    logger: Any,
) -> SealedClientProtocol:
    """The protocol for one connection in the binding that is asked for."""
    if binding == "frame":
        factories: list[ClientExtensionFactory] = [FrameBindingFactory(offer)]
        return SealedFramesProtocol(
            uri,
            offer,
            origin=origin,
            extensions=factories,
            subprotocols=subprotocols,
            max_size=raised(max_size, FrameBinding.overhead),
            logger=logger,
        )
    return SealedMessagesProtocol(
        uri,
        offer,
        max_size[0] if isinstance(max_size, tuple) else max_size,
        origin=origin,
        subprotocols=sealed_subprotocols(offer, subprotocols or ()),
        max_size=raised(max_size, MessageBinding.overhead),
        logger=logger,
    )


def raised(max_size: MaxSize, overhead: int) -> MaxSize:
    """The limit that the websockets library must apply, for it counts the tag too."""
    if isinstance(max_size, tuple):
        message, fragment = max_size
        return (
            None if message is None else message + overhead,
            None if fragment is None else fragment + overhead,
        )
    return None if max_size is None else max_size + overhead


def shortened(reason: str, limit: int) -> str:
    """The reason within ``limit`` octets, cut at a character."""
    return reason.encode()[:limit].decode(errors="ignore")
