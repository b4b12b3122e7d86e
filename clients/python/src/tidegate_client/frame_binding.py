"""The frame binding: a WebSocket extension (RFC 6455 section 9) that seals every frame.

The websockets library hands *every* frame to its extensions, control frames included, so the Close
frame is sealed by the same two methods as data. It checks the length of outgoing control frames
before its extensions run and that of incoming ones after, so both are checked here on the sealed frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from websockets.exceptions import NegotiationError, ProtocolError
from websockets.extensions.base import ClientExtensionFactory, Extension
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionName, ExtensionParameter

from . import base64url
from .errors import IntegrityError
from .offer import Offer
from .schedule import SHA_256
from .tags import TAG_LENGTH, TagSequence

__all__ = ["FrameBinding", "FrameBindingFactory"]

EXTENSION_NAME = ExtensionName("frame-integrity")
CONTROL_FRAME_LIMIT = 125  # RFC 6455 section 5.5
UNSEALED = (Opcode.PING, Opcode.PONG)


class FrameBinding(Extension):
    """Seals what is sent and verifies what arrives."""

    name = EXTENSION_NAME
    overhead = TAG_LENGTH
    """Octets that a sealed frame is longer than its data."""
    reason_limit = CONTROL_FRAME_LIMIT - 2 - TAG_LENGTH
    """Octets that a Close reason may have."""

    def __init__(self, sending: TagSequence, receiving: TagSequence) -> None:
        self._sending = sending
        self._receiving = receiving

    def encode(self, frame: Frame) -> Frame:
        if frame.opcode in UNSEALED:
            return frame
        if frame.opcode is Opcode.CLOSE and len(frame.data) > CONTROL_FRAME_LIMIT - TAG_LENGTH:
            raise ProtocolError(f"a sealed Close frame has room for a reason of {self.reason_limit} octets")
        tag = self._sending.tag(first_octet(frame), frame.data)
        return dataclasses.replace(frame, data=b"".join((frame.data, tag)))

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode in UNSEALED:
            return frame
        if frame.opcode is Opcode.CLOSE and len(frame.data) > CONTROL_FRAME_LIMIT:
            raise ProtocolError("control frame too long")
        if len(frame.data) < TAG_LENGTH:
            raise IntegrityError("missing")
        data, tag = bytes(frame.data[:-TAG_LENGTH]), bytes(frame.data[-TAG_LENGTH:])
        self._receiving.verify(first_octet(frame), data, tag)
        return dataclasses.replace(frame, data=data)


class FrameBindingFactory(ClientExtensionFactory):
    """Writes the offer into the request and makes the extension from the answer."""

    name = EXTENSION_NAME

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def get_request_params(self) -> list[ExtensionParameter]:
        offer = self._offer
        parameters: list[ExtensionParameter] = [("alg", offer.algorithm)]
        if offer.kid is not None:
            parameters += [("kid", offer.kid), ("cn", base64url.encode(offer.client_nonce))]
        if offer.ephemeral_public:
            parameters.append(("epk", base64url.encode(offer.ephemeral_public)))
        return parameters

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> FrameBinding:
        answer = dict(params)
        if accepted_extensions or len(answer) != len(params):
            raise NegotiationError("frame-integrity is answered twice")
        if answer.pop("alg", None) != self._offer.algorithm:
            raise NegotiationError("frame-integrity is answered with another algorithm")
        if self._offer.algorithm == SHA_256:
            return self._agreed(answer, TagSequence(None), TagSequence(None))
        if answer.pop("kid", None) != self._offer.kid:
            raise NegotiationError("frame-integrity is answered with another key")
        keys = self._offer.traffic_keys(answer.pop("sn", None) or "")
        if keys is None:
            raise NegotiationError("frame-integrity is answered without a nonce of 32 octets")
        return self._agreed(answer, TagSequence(keys.client_to_server), TagSequence(keys.server_to_client))

    def _agreed(
        self,
        unread: dict[str, str | None],
        sending: TagSequence,
        receiving: TagSequence,
    ) -> FrameBinding:
        if unread:
            raise NegotiationError(f"frame-integrity is answered with {', '.join(unread)}, not asked for")
        return FrameBinding(sending, receiving)


def first_octet(frame: Frame) -> int:
    """The first octet of the frame's header (RFC 6455 section 5.2)."""
    return (
        (0x80 if frame.fin else 0)
        | (0x40 if frame.rsv1 else 0)
        | (0x20 if frame.rsv2 else 0)
        | (0x10 if frame.rsv3 else 0)
        | frame.opcode
    )
