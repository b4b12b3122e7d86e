"""A backend on Python `websockets`.

/describe       first tells, as JSON, what it saw of the request; then echoes
/close/N/TEXT   closes at once with that code and reason
/abort          cuts the connection after the first message
/ping           pings, and tells when the Pong came
/declined       answers 401 instead of 101
anything else   echoes

Every close it meets is a line `closed CODE REASON` on stdout.
"""

import asyncio
import json
import logging
import sys
from urllib.parse import unquote

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

logging.getLogger("websockets").addHandler(logging.NullHandler())
logging.getLogger("websockets").propagate = False


def description(socket):
    return json.dumps(
        {
            "path": socket.request.path,
            "fields": [[name.lower(), value] for name, value in socket.request.headers.raw_items()],
            "subprotocol": socket.subprotocol,
            "extensions": [extension.name for extension in socket.protocol.extensions],
        }
    )


async def handle(socket):
    name, *arguments = socket.request.path.split("?")[0].lstrip("/").split("/")
    if name == "describe":
        await socket.send(description(socket))
    elif name == "close":
        await socket.close(int(arguments[0]), unquote(arguments[1]))
    elif name == "abort":
        await socket.recv()
        socket.transport.abort()
    elif name == "ping":
        await (await socket.ping(b"are you there"))
        await socket.send("pong came")
    await echo(socket)


async def echo(socket):
    try:
        while True:
            await socket.send(await socket.recv())
    except ConnectionClosed:
        print("closed", socket.close_code, socket.close_reason, flush=True)


def decline(connection, request):
    if request.path == "/declined":
        return connection.respond(401, "not you\n")


def choose(connection, offered):
    return next((each for each in ("tide.v2", "tide.v1") if each in offered), None)


async def main():
    options = {
        "max_size": None,
        "ping_interval": None,
        "process_request": decline,
        "select_subprotocol": choose,
    }
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), **options) as server:
        await server.serve_forever()


asyncio.run(main())
