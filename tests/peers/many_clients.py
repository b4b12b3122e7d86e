"""Holds many sockets open through the proxy under many certificates, each echoing now and then, until TERM.

Usage: many_clients.py PORT ROOT PLAN REPORT

PLAN is a JSON list: for each socket the files of its chain and its key. Prints `open COUNT` when all are
open. REPORT is JSON: `endings` (number of the socket, close code, reason, moment), `open` (how many still
are), and `echoes` (moment, seconds). Moments are of the machine's monotonic clock.
"""

import asyncio
import functools
import json
import os
import random
import signal
import ssl
import sys
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from harness import connect

PORT, ROOT, PLAN, REPORT = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])


@functools.cache
def context(chain, key):
    trust = ssl.create_default_context(cafile=ROOT)
    trust.load_cert_chain(chain, key)
    return trust


class Clients:
    def __init__(self):
        self.plan = json.loads(PLAN.read_text())
        self.opening = asyncio.Semaphore(20)
        self.sockets, self.endings, self.echoes = [], [], []

    async def hold(self, number, files):
        async with self.opening:
            socket = await connect(
                f"wss://localhost:{PORT}/echo", host="127.0.0.1", ssl=context(*files), compression=None
            )
        self.sockets.append(socket)
        if len(self.sockets) == len(self.plan):
            print("open", len(self.plan), flush=True)
        try:
            while True:
                await self.rest(socket)
                await self.echo(socket)
        except ConnectionClosed:
            await socket.wait_closed()
            self.endings.append((number, socket.close_code, socket.close_reason, time.monotonic()))

    async def rest(self, socket):
        """Some seconds, or until it is closed."""
        try:
            async with asyncio.timeout(random.uniform(4, 8)):
                await socket.wait_closed()
        except TimeoutError:
            return

    async def echo(self, socket):
        began = time.monotonic()
        await socket.send(b"are you there?")
        await socket.recv()
        self.echoes.append((began, time.monotonic() - began))

    def report(self):
        still = sum(socket.state is State.OPEN for socket in self.sockets)
        REPORT.write_text(json.dumps({"endings": self.endings, "open": still, "echoes": self.echoes}))
        os._exit(0)  # nobody waits for thousands of closes


async def main():
    clients = Clients()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, clients.report)
    await asyncio.gather(*(clients.hold(*each) for each in enumerate(clients.plan)))
    await asyncio.Event().wait()


asyncio.run(main())
