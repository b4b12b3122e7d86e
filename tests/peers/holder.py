"""Holds many sockets open through the proxy, each echoing now and then, until TERM.

Usage: holder.py PORT CREDENTIALS_FOLDER COUNT

Prints `open COUNT` when all are open, and at the end one line of JSON: how many are still open, how many
were lost and why, how many echoes came back, and how many came back changed.
"""

import asyncio
import json
import os
import random
import signal
import ssl
import sys

from websockets.exceptions import ConnectionClosed

from harness import connect

PORT, FOLDER, COUNT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Holder:
    def __init__(self):
        self.trust = ssl.create_default_context(cafile=f"{FOLDER}/root.pem")
        self.trust.load_cert_chain(f"{FOLDER}/client.pem", f"{FOLDER}/client.key")
        self.opening = asyncio.Semaphore(20)
        self.over = asyncio.Event()
        self.opened = self.echoes = self.changed = 0
        self.lost = []

    async def hold(self):
        async with self.opening:
            socket = await connect(
                f"wss://localhost:{PORT}/echo", host="127.0.0.1", ssl=self.trust, compression=None
            )
        self.opened += 1
        if self.opened == COUNT:
            print("open", COUNT, flush=True)
        try:
            while not self.over.is_set():
                await self.echo(socket)
                await asyncio.sleep(random.uniform(1, 3))
            await self.echo(socket)
        except ConnectionClosed as ending:
            self.lost.append(str(ending))
            return False
        await socket.close()
        return True

    async def echo(self, socket):
        message = os.urandom(random.choice([10, 200, 3_000]))
        await socket.send(message)
        self.changed += await asyncio.wait_for(socket.recv(), 30) != message
        self.echoes += 1


async def main():
    holder = Holder()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, holder.over.set)
    ends = await asyncio.gather(*(holder.hold() for _ in range(COUNT)), return_exceptions=True)
    errors = [repr(end) for end in ends if isinstance(end, Exception)]
    whole = sum(end is True for end in ends)
    print(
        json.dumps(
            {"whole": whole, "lost": holder.lost + errors, "echoes": holder.echoes, "changed": holder.changed}
        )
    )


asyncio.run(main())
