"""A small server that speaks both bindings and echoes: the stand-in for a proxy with an echo backend.

    python reference_peer.py VECTORS [--port N]

It uses the keys of the vectors file, prints ``{"url": ...}`` when it listens and then one JSON object for
each connection that has ended. With ``--tamper`` it also starts the man in the middle of
``tampering_proxy.py`` before itself. Text messages that begin with ``!`` are orders:

    !close CODE REASON   seal a Close          !cut      drop the TCP connection
    !plain-close         a Close without tag   !pieces   answer with a message in three fragments

The query of the request path changes the handshake: ``select=NAME`` chooses that application subprotocol,
``answer=`` gives ``none`` (accepts unsealed), ``algorithm``, ``kid`` or ``nonce`` (answers something else),
``silence`` (no nonce), ``twice`` or ``extra``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import struct
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from reference_integrity import (
    Accepted,
    Keyring,
    Tags,
    b64url,
    judge_extension,
    judge_subprotocol,
    keyring_of,
)
from wire import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    ConnectionTasks,
    Frame,
    Head,
    accept_value,
    close_payload,
    read_frame,
    read_head,
)

LINGER = 2.0  # seconds that a closed client may take to hang up


class Ended(Exception):
    """The conversation is over; the text says how."""


class Session:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keyring: Keyring) -> None:
        self.reader, self.writer, self.keyring = reader, writer, keyring
        self.received: list[list[str]] = []
        self.accepted = Accepted("none", "none")
        self.nonce = secrets.token_bytes(32)
        self.message: list[bytes] = []
        self.message_opcode = 0
        self.query: dict[str, str] = {}

    async def run(self) -> dict[str, Any]:
        try:
            ending = await self.converse()
        except (asyncio.IncompleteReadError, ConnectionError):
            ending = "cut"
        self.writer.close()
        return {
            "binding": self.accepted.binding,
            "algorithm": self.accepted.algorithm,
            "kid": self.accepted.kid,
            "query": self.query,
            "received": self.received,
            "ending": ending,
        }

    async def converse(self) -> str:
        request = await read_head(self.reader)
        self.query = {
            name: values[0] for name, values in parse_qs(urlsplit(request.start.split(" ")[1]).query).items()
        }
        if not self.choose(request):
            self.writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return "refused"
        self.writer.write(self.answer(request).octets())
        self.verifying = Tags(self.accepted.key(self.nonce, "c2s"))
        self.sealing = Tags(self.accepted.key(self.nonce, "s2c"))
        answer = self.query.get("answer")
        if self.accepted.binding == "message" and self.accepted.kid is not None and answer != "silence":
            text = "frame-integrity~" + ("AAAA" if answer == "nonce" else b64url(self.nonce))
            self.send(Frame(0x80 | TEXT, text.encode()))
        try:
            while True:
                self.handle(await read_frame(self.reader))
        except Ended as ended:
            await self.linger()
            return str(ended)

    def choose(self, request: Head) -> bool:
        offers = [judge_extension(text, self.keyring) for text in request.values("Sec-WebSocket-Extensions")]
        names = request.values("Sec-WebSocket-Protocol")
        offers += [judge_subprotocol(name, self.keyring) for name in names]
        wanted = self.query.get("select")
        for offer in offers:
            if offer is not None and (offer.binding == "frame" or wanted in (None, offer.subprotocol)):
                self.accepted = offer
                return True
        return False

    def answer(self, request: Head) -> Head:
        accept = accept_value(request.values("Sec-WebSocket-Key")[0])
        head = Head("HTTP/1.1 101 Switching Protocols", [("Upgrade", "websocket")])
        head.fields += [("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        if self.query.get("answer") == "none":
            return head
        if self.accepted.binding == "message":
            head.fields.append(("Sec-WebSocket-Protocol", self.accepted.name))
            return head
        head.fields.append(("Sec-WebSocket-Extensions", self.extension()))
        plain = [name for name in request.values("Sec-WebSocket-Protocol") if "~" not in name]
        if plain:
            head.fields.append(("Sec-WebSocket-Protocol", self.query.get("select") or plain[0]))
        return head

    def extension(self) -> str:
        answer, nonce = self.query.get("answer"), b64url(self.nonce)
        algorithm, kid = self.accepted.algorithm, self.accepted.kid
        if answer == "algorithm":
            algorithm = "sha-256" if algorithm != "sha-256" else "hmac-sha-256"
        if answer == "kid":
            kid = "another"
        if answer == "nonce":
            nonce = "AAAA"
        text = f"frame-integrity; alg={algorithm}"
        if kid is not None:
            text += f'; kid="{kid}"; sn={nonce}'
        if answer == "extra":
            text += "; cb=tls-exporter"
        return f"{text}, {text}" if answer == "twice" else text

    def send(self, frame: Frame) -> None:
        self.writer.write(frame.octets(None))

    def send_sealed(self, first_octet: int, data: bytes) -> None:
        sealed = self.sealing.seal(self.accepted.binding, first_octet, data)
        self.send(Frame(first_octet, sealed))

    def handle(self, frame: Frame) -> None:
        if frame.opcode == PING:
            self.send(Frame(0x80 | PONG, frame.payload))
        elif frame.opcode == CLOSE:
            self.handle_close(self.unsealed(frame.first_octet, frame.payload))
        elif frame.carries_data:
            self.handle_data(frame)

    def unsealed(self, first_octet: int, payload: bytes) -> bytes:
        data = self.verifying.unseal(self.accepted.binding, first_octet, payload)
        if isinstance(data, bytes):
            return data
        self.send_sealed(0x88, close_payload(1008, f"frame-integrity: {data}"))
        raise Ended(data)

    def handle_close(self, data: bytes) -> None:
        self.send_sealed(0x88, data)
        code = struct.unpack("!H", data[:2])[0] if data else 1005
        raise Ended(f"closed {code} {data[2:].decode()}".rstrip())

    def handle_data(self, frame: Frame) -> None:
        per_frame = self.accepted.binding == "frame"
        data = self.unsealed(frame.first_octet, frame.payload) if per_frame else frame.payload
        self.message_opcode = frame.opcode or self.message_opcode
        self.message.append(data)
        if not frame.final:
            return
        data, self.message = b"".join(self.message), []
        if not per_frame:
            data = self.unsealed(0x80 | self.message_opcode, data)
        self.handle_message(self.message_opcode, data)

    def handle_message(self, opcode: int, data: bytes) -> None:
        text = opcode == TEXT
        self.received.append(["text", data.decode()] if text else ["binary", data.hex()])
        if text and data.startswith(b"!"):
            self.obey(data.decode())
        else:
            self.send_sealed(0x80 | opcode, data)

    def obey(self, order: str) -> None:
        word, _, rest = order.partition(" ")
        if word == "!close":
            code, _, reason = rest.partition(" ")
            self.send_sealed(0x88, close_payload(int(code), reason))
            raise Ended("closed by order")
        if word == "!plain-close":
            self.send(Frame(0x88, close_payload(1000)))
            raise Ended("closed without a tag")
        if word == "!pieces":
            self.send_pieces()
            return
        self.writer.transport.abort()
        raise Ended("cut by order")

    def send_pieces(self) -> None:
        pieces = ["Gr\u00fc\u00dfe".encode()[:3], "Gr\u00fc\u00dfe".encode()[3:], b"!"]
        if self.accepted.binding == "frame":
            for first_octet, piece in zip((TEXT, CONTINUATION, 0x80), pieces):
                self.send_sealed(first_octet, piece)
            return
        sealed = self.sealing.seal("message", 0x81, b"".join(pieces))
        for first_octet, piece in zip((TEXT, CONTINUATION, 0x80), (sealed[:3], sealed[3:20], sealed[20:])):
            self.send(Frame(first_octet, piece))

    async def linger(self) -> None:
        """Lets the client see the Close before the connection goes (RFC 6455 section 7.1.1).

        What it still sends is not looked at: a browser echoes the Close that it got, tag and all.
        """
        try:
            if self.writer.can_write_eof():
                self.writer.write_eof()
            await asyncio.wait_for(self.reader.read(), LINGER)
        except (OSError, asyncio.TimeoutError):
            pass


class ReferencePeer:
    """The server. ``endings`` receives one object for each connection that is over."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.endings: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.tasks = ConnectionTasks()

    async def start(self, port: int = 0) -> str:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port, limit=1 << 20)
        return f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.keep_current()
        self.endings.put_nowait(await Session(reader, writer, self.keyring).run())

    def stop(self) -> None:
        self.server.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Frame Integrity reference peer: echoes over ws://127.0.0.1")
    parser.add_argument("vectors", help="frame-integrity.json, whose keys are the keyring")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tamper", action="store_true", help="start a man in the middle too")
    arguments = parser.parse_args()
    with open(arguments.vectors, encoding="utf-8") as file:
        peer = ReferencePeer(keyring_of(json.load(file)))
    listening = {"url": await peer.start(arguments.port)}
    if arguments.tamper:
        from tampering_proxy import TamperingProxy

        listening["tampering_url"] = await TamperingProxy(listening["url"]).start()
    print(json.dumps(listening), flush=True)
    while True:
        print(json.dumps(await peer.endings.get()), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
