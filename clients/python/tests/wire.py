"""WebSocket frames and handshakes as octets, for the test peers. Shares no code with the package."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from dataclasses import dataclass, field, replace
from typing import Any

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Frame:
    """A frame with its payload unmasked."""

    first_octet: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first_octet & 0x0F

    @property
    def final(self) -> bool:
        return bool(self.first_octet & 0x80)

    @property
    def carries_data(self) -> bool:
        return self.opcode in (CONTINUATION, TEXT, BINARY)

    def with_payload(self, payload: bytes) -> Frame:
        return replace(self, payload=payload)

    def octets(self, mask: bytes | None) -> bytes:
        """The frame as it is sent, masked if there is a mask."""
        length, bit = len(self.payload), 0x80 if mask is not None else 0
        if length < 126:
            header = bytes((self.first_octet, bit | length))
        elif length < 1 << 16:
            header = bytes((self.first_octet, bit | 126)) + struct.pack("!H", length)
        else:
            header = bytes((self.first_octet, bit | 127)) + struct.pack("!Q", length)
        return header + self.payload if mask is None else header + mask + masked(self.payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """The next frame; raises ``asyncio.IncompleteReadError`` at the end."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    mask = await reader.readexactly(4) if second & 0x80 else None
    payload = await reader.readexactly(length)
    return Frame(first, payload if mask is None else masked(payload, mask))


@dataclass
class Head:
    """The head of a request or of an answer."""

    start: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The comma-separated members of a field."""
        lines = [value for key, value in self.fields if key.lower() == name.lower()]
        return [member.strip() for line in lines for member in line.split(",") if member.strip()]

    def octets(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.fields)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return Head(lines[0], [(name, value.strip()) for name, _, value in pairs])


def accept_value(key: str) -> str:
    """``Sec-WebSocket-Accept`` (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


def close_payload(code: int, reason: str = "") -> bytes:
    return struct.pack("!H", code) + reason.encode()


class ConnectionTasks:
    """Keeps the tasks of open connections alive: before Python 3.12 asyncio's servers may lose them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def keep_current(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
