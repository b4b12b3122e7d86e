"""A VNC server with one red picture, which says what keys it gets (RFC 6143). Usage: vnc_server.py PORT"""

import asyncio
import struct
import sys

WIDTH, HEIGHT = 64, 48


async def serve(reader, writer):
    writer.write(b"RFB 003.008\n")
    await reader.readexactly(12)
    writer.write(b"\x01\x01")  # one security type: none
    await reader.readexactly(1)
    writer.write(bytes(4))
    await reader.readexactly(1)
    pixels = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
    writer.write(struct.pack(">HH", WIDTH, HEIGHT) + pixels + struct.pack(">I", 3) + b"red")
    while kind := await reader.read(1):
        await answer(kind[0], reader, writer)


async def answer(kind, reader, writer):
    if kind == 2:
        _, count = struct.unpack(">BH", await reader.readexactly(3))
        await reader.readexactly(4 * count)
    elif kind == 3:
        asked = await reader.readexactly(9)
        if asked[0] == 0:
            update = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
            writer.write(update + struct.pack("<I", 0x0000FF) * (WIDTH * HEIGHT))
    elif kind == 4:
        pressed, key = struct.unpack(">BxxI", await reader.readexactly(7))
        print(f"key {key} {pressed}", flush=True)
    else:
        await reader.readexactly({0: 19, 5: 5}[kind])


async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()


asyncio.run(main())
