"""A man in the middle that changes WebSocket traffic.

    python tampering_proxy.py ws://127.0.0.1:9000 [--port N]
    python tampering_proxy.py wss://localhost:8443 --ca ca.pem --cert client.pem --key client.key

It listens on plain ws, or ends TLS with ``--server-cert`` and ``--server-key``, and prints
``{"tampering_url": ...}``. The query of each request says what to do: ``tamper=KIND`` (see ``TAMPERINGS``),
``direction=c2s`` or ``s2c``, ``at=N`` for the N-th data frame (from 0).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
from collections.abc import Iterable, Iterator
from typing import Callable
from urllib.parse import parse_qs, urlsplit

from wire import BINARY, CLOSE, TEXT, ConnectionTasks, Frame, close_payload, read_frame, read_head


class Cut(Exception):
    """The middle drops both connections."""


Tampering = Callable[[Frame], Iterable[Frame]]


def leave(frame: Frame) -> Iterator[Frame]:
    yield frame


def flip(frame: Frame) -> Iterator[Frame]:
    first, rest = frame.payload[:1], frame.payload[1:]
    yield frame.with_payload(bytes((first[0] ^ 1,)) + rest)


def flip_tag(frame: Frame) -> Iterator[Frame]:
    last, rest = frame.payload[-1:], frame.payload[:-1]
    yield frame.with_payload(rest + (b"A" if last != b"A" else b"B"))


def replay(frame: Frame) -> Iterator[Frame]:
    yield frame
    yield frame


def drop(frame: Frame) -> Iterator[Frame]:
    yield from ()


def inject(frame: Frame) -> Iterator[Frame]:
    yield Frame(0x81, b"transfer 1000000" + b"A" * 43)
    yield frame


def inject_untagged(frame: Frame) -> Iterator[Frame]:
    yield Frame(0x81, b"short")
    yield frame


def retype(frame: Frame) -> Iterator[Frame]:
    other = BINARY if frame.opcode == TEXT else TEXT
    yield Frame(frame.first_octet & 0xF0 | other, frame.payload)


def lose_octet(frame: Frame) -> Iterator[Frame]:
    yield frame.with_payload(frame.payload[:-1])


def refragment(frame: Frame) -> Iterator[Frame]:
    yield Frame(frame.first_octet & 0x7F, frame.payload[:1])
    yield Frame(0x80, frame.payload[1:])


def own_nonce(frame: Frame) -> Iterator[Frame]:
    yield frame.with_payload(b"frame-integrity~" + b"A" * 43)


def truncate(frame: Frame) -> Iterator[Frame]:
    raise Cut


TAMPERINGS: dict[str, Tampering] = {
    "flip": flip,
    "flip-tag": flip_tag,
    "replay": replay,
    "drop": drop,
    "inject": inject,
    "inject-untagged": inject_untagged,
    "retype": retype,
    "lose-octet": lose_octet,
    "refragment": refragment,
    "own-nonce": own_nonce,
    "truncate": truncate,
}
"""What is done to the data frame that is aimed at. Two more kinds are done to other frames:
``reorder`` swaps it with the next, ``forge-close`` puts a clean Close without tag in its place,
``flip-close`` and ``drop-close`` concern the Close frame."""


class Middle:
    """What happens to the frames of one direction."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind, self.at = kind, at
        self.seen = 0
        self.held: Frame | None = None

    def change(self, frame: Frame) -> Iterator[Frame]:
        if frame.opcode == CLOSE:
            yield from self.change_close(frame)
        elif not frame.carries_data:
            yield frame
        else:
            aimed_at, self.seen = self.seen == self.at, self.seen + 1
            yield from self.change_data(frame, aimed_at)

    def change_data(self, frame: Frame, aimed_at: bool) -> Iterator[Frame]:
        if self.kind == "reorder":
            if aimed_at:
                self.held = frame
                return
            yield frame
            if self.held is not None:
                yield self.held
                self.held = None
        elif not aimed_at:
            yield frame
        elif self.kind == "forge-close":
            yield Frame(0x88, close_payload(1000))
        else:
            yield from TAMPERINGS.get(self.kind, leave)(frame)

    def change_close(self, frame: Frame) -> Iterator[Frame]:
        if self.kind == "drop-close":
            raise Cut
        yield from flip_tag(frame) if self.kind == "flip-close" else (frame,)


class TamperingProxy:
    """The listener.

    Args:
        upstream: where to connect to, ``ws://`` or ``wss://``.
        tls: needed for ``wss://``.
        own_tls: with it, clients are spoken to over TLS.
    """

    def __init__(
        self, upstream: str, tls: ssl.SSLContext | None = None, own_tls: ssl.SSLContext | None = None
    ) -> None:
        self.upstream, self.tls, self.own_tls = urlsplit(upstream), tls, own_tls
        self.tasks = ConnectionTasks()

    async def start(self, port: int = 0) -> str:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port, ssl=self.own_tls)
        port = self.server.sockets[0].getsockname()[1]
        return f"ws://127.0.0.1:{port}" if self.own_tls is None else f"wss://localhost:{port}"

    def stop(self) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.keep_current()
        writers = [writer]
        try:
            host, port = self.upstream.hostname, self.upstream.port
            up_reader, up_writer = await asyncio.open_connection(host, port, ssl=self.tls)
            writers.append(up_writer)
            query = await self.shake_hands(reader, writer, up_reader, up_writer)
            kind, at = query.get("tamper", ["none"])[0], int(query.get("at", ["1"])[0])
            direction = query.get("direction", ["s2c"])[0]
            to_server = Middle(kind if direction == "c2s" else "none", at)
            to_client = Middle(kind if direction == "s2c" else "none", at)
            await asyncio.gather(
                self.pump(reader, up_writer, to_server, masked=True),
                self.pump(up_reader, writer, to_client, masked=False),
            )
        except (Cut, OSError, asyncio.IncompleteReadError):
            for open_writer in writers:
                open_writer.transport.abort()
        for open_writer in writers:
            open_writer.close()

    async def shake_hands(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> dict[str, list[str]]:
        request = await read_head(reader)
        query = parse_qs(urlsplit(request.start.split(" ")[1]).query)
        request.fields = [
            (name, self.upstream.netloc if name.lower() == "host" else value)
            for name, value in request.fields
        ]
        up_writer.write(request.octets())
        writer.write((await read_head(up_reader)).octets())
        return query

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, middle: Middle, *, masked: bool
    ) -> None:
        try:
            while True:
                for changed in middle.change(await read_frame(reader)):
                    writer.write(changed.octets(os.urandom(4) if masked else None))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description="a man in the middle that changes WebSocket traffic")
    parser.add_argument("upstream")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ca", help="certificates to trust upstream")
    parser.add_argument("--cert", help="certificate to present upstream")
    parser.add_argument("--key", help="its private key")
    parser.add_argument("--server-cert", help="certificate to present to clients; without it there is no TLS")
    parser.add_argument("--server-key", help="its private key")
    arguments = parser.parse_args()
    tls = ssl.create_default_context(cafile=arguments.ca) if arguments.upstream.startswith("wss:") else None
    if tls is not None and arguments.cert:
        tls.load_cert_chain(arguments.cert, arguments.key)
    own_tls = None
    if arguments.server_cert:
        own_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own_tls.load_cert_chain(arguments.server_cert, arguments.server_key)
    proxy = TamperingProxy(arguments.upstream, tls, own_tls)
    print(json.dumps({"tampering_url": await proxy.start(arguments.port)}), flush=True)
    await proxy.server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
