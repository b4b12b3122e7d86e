"""The message binding: a subprotocol (RFC 6455 section 1.9) that seals whole messages.

It is written as an extension object, though none is negotiated, because that is where the websockets
library lets frames be changed: sending in fragments, streaming and keepalive work as they always do.
An incoming message is held until its last fragment has arrived and its tag is checked; the fragments
before it are passed on empty.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Sequence

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.base import Extension
from websockets.frames import CloseCode, Frame, Opcode
from websockets.typing import ExtensionName, Subprotocol

from . import base64url
from .errors import IntegrityError
from .offer import Offer
from .schedule import SHA_256
from .tags import TAG_LENGTH, RunningTag, TagSequence

__all__ = ["MessageBinding", "WithheldFrame", "application_subprotocol", "sealed_subprotocols"]

PREFIX = "frame-integrity"
TEXT_TAG_LENGTH = 43  # 32 octets in base64url
NONCE_MESSAGE_LIMIT = len("frame-integrity~")  # and 43 characters of nonce, as long as a tag
CONTROL_FRAME_LIMIT = 125  # RFC 6455 section 5.5
UNSEALED = (Opcode.PING, Opcode.PONG)


class WithheldFrame(Frame):
    """A frame that is not for the application: (a fragment of) the server's nonce."""


class MessageBinding(Extension):
    """Seals what is sent and verifies what arrives.

    Args:
        offer: what the client offered.
        message_limit: octets of data that an incoming message may have; ``None`` for no limit.
    """

    name = ExtensionName(PREFIX)
    overhead = CONTROL_FRAME_LIMIT
    """Octets more than the limit for data that a frame may have: what arrives is counted exactly here,
    and even with the smallest limit the server's nonce and a Close must get through."""
    reason_limit = CONTROL_FRAME_LIMIT - 2 - TEXT_TAG_LENGTH
    """Octets that a Close reason may have."""

    def __init__(self, offer: Offer, message_limit: int | None) -> None:
        self._offer = offer
        self._message_limit = message_limit
        self._sending: TagSequence | None = None
        self._receiving: TagSequence | None = None
        if offer.algorithm == SHA_256:
            self._sending, self._receiving = TagSequence(None), TagSequence(None)
        self._sent_opcode = Opcode.TEXT
        self._sent_tag: RunningTag | None = None
        self._held: list[bytes] = []
        self._held_length = 0
        self._held_opcode: Opcode | None = None

    @property
    def ready(self) -> bool:
        """Whether the server's nonce has arrived, where there is one."""
        return self._receiving is not None

    def encode(self, frame: Frame) -> Frame:
        if frame.opcode in UNSEALED:
            return frame
        if self._sending is None:
            raise ProtocolError("nothing may be sent before the server's nonce has arrived")
        if frame.opcode is Opcode.CLOSE:
            return dataclasses.replace(frame, data=self._sealed_close(self._sending, bytes(frame.data)))
        if frame.opcode is not Opcode.CONT:
            self._sent_opcode = frame.opcode
            self._sent_tag = self._sending.begin(0x80 | frame.opcode)
        if self._sent_tag is None:
            raise ProtocolError("unexpected continuation frame")
        self._sent_tag.update(frame.data)
        if not frame.fin:
            return frame
        tag = written(self._sent_opcode, self._sending.finish(self._sent_tag))
        self._sent_tag = None
        return dataclasses.replace(frame, data=b"".join((frame.data, tag)))

    def _sealed_close(self, sending: TagSequence, data: bytes) -> bytes:
        data = data or CloseCode.NORMAL_CLOSURE.to_bytes(2, "big")  # this binding requires a code
        if len(data) > CONTROL_FRAME_LIMIT - TEXT_TAG_LENGTH:
            raise ProtocolError(f"a sealed Close frame has room for a reason of {self.reason_limit} octets")
        return data + written(Opcode.CLOSE, sending.tag(0x80 | Opcode.CLOSE, data))

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode in UNSEALED or not self._well_formed(frame):
            return frame  # the websockets library refuses what is malformed
        if frame.opcode is Opcode.CLOSE:
            return dataclasses.replace(frame, data=self._verified(Opcode.CLOSE, bytes(frame.data), 2))
        opcode = self._hold(frame)
        message_type = type(frame) if self.ready else WithheldFrame
        if not frame.fin:
            return message_type(frame.opcode, b"", fin=False)
        data, self._held, self._held_length, self._held_opcode = b"".join(self._held), [], 0, None
        if self.ready:
            return message_type(frame.opcode, self._verified(opcode, data, 0))
        self._receive_server_nonce(opcode, data)
        return message_type(frame.opcode, b"")

    def _well_formed(self, frame: Frame) -> bool:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            return False
        if frame.opcode is Opcode.CLOSE:
            return frame.fin and len(frame.data) <= CONTROL_FRAME_LIMIT
        return (frame.opcode is Opcode.CONT) == (self._held_opcode is not None)

    def _hold(self, frame: Frame) -> Opcode:
        """Keeps the fragment; returns the opcode of its message."""
        opcode = self._held_opcode = self._held_opcode or frame.opcode
        self._held.append(bytes(frame.data))
        self._held_length += len(frame.data)
        limit = self._message_limit if self.ready else NONCE_MESSAGE_LIMIT
        length = self._held_length - tag_length(opcode)
        if limit is not None and length > limit:
            raise PayloadTooBig(length, limit)
        return opcode

    def _verified(self, opcode: Opcode, payload: bytes, shortest: int) -> bytes:
        length = len(payload) - tag_length(opcode)
        if self._receiving is None or length < shortest:
            raise IntegrityError("missing")
        data = payload[:length]
        expected = written(opcode, self._receiving.tag(0x80 | opcode, data))
        # Compared as it is written: base64url then has one spelling only.
        if not hmac.compare_digest(expected, payload[length:]):
            raise IntegrityError("mismatch")
        return data

    def _receive_server_nonce(self, opcode: Opcode, data: bytes) -> None:
        name, _, nonce = data.decode("ascii", "replace").partition("~")
        keys = self._offer.traffic_keys(nonce)
        if opcode is not Opcode.TEXT or name != PREFIX or keys is None:
            raise IntegrityError("missing")
        self._sending = TagSequence(keys.client_to_server)
        self._receiving = TagSequence(keys.server_to_client)


def tag_length(opcode: Opcode) -> int:
    return TAG_LENGTH if opcode is Opcode.BINARY else TEXT_TAG_LENGTH


def written(opcode: Opcode, tag: bytes) -> bytes:
    """The tag as it stands in a message: text and Close reasons must stay UTF-8."""
    return tag if opcode is Opcode.BINARY else base64url.encode(tag).encode("ascii")


def sealed_subprotocols(offer: Offer, subprotocols: Sequence[str]) -> list[Subprotocol]:
    """The names to offer, one for each application subprotocol, or one with none."""
    fields = (
        PREFIX,
        offer.algorithm,
        offer.kid or "",
        base64url.encode(offer.client_nonce) if offer.kid is not None else "",
        base64url.encode(offer.ephemeral_public),
    )
    return [Subprotocol("~".join((*fields, subprotocol))) for subprotocol in subprotocols or [""]]


def application_subprotocol(sealed: str) -> Subprotocol | None:
    """The application's part of a sealed name, ``None`` if it is empty."""
    subprotocol = sealed.split("~", 5)[5]
    return Subprotocol(subprotocol) if subprotocol else None
