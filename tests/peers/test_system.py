"""What the system may do to the proxy: no descriptors, failing accept, a stop, dead logs, clock steps."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from harness import Tidegate, eventually, route

TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(folder, credentials, python_backend, wrap=()):
    proxy = Tidegate(folder, credentials, route("/", python_backend[1]), wrap=wrap)
    try:
        yield proxy
    finally:
        proxy.stop()


async def converse(proxy):
    async with proxy.connect("/echo", open_timeout=10) as socket:
        await socket.send("hello")
        assert await asyncio.wait_for(socket.recv(), 10) == "hello"


def cpu_seconds(proxy):
    fields = Path(f"/proc/{proxy.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def idle_share(proxy, seconds=2.0):
    """The share of one core that the proxy takes while nobody talks."""
    before = cpu_seconds(proxy)
    await asyncio.sleep(seconds)
    return (cpu_seconds(proxy) - before) / seconds


async def test_running_out_of_descriptors_slows_accepting_and_ends_nothing(
    folder, credentials, python_backend
):
    with running(folder / "descriptors", credentials, python_backend) as proxy:
        async with proxy.connect("/echo") as held:
            before = resource.prlimit(proxy.child.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(proxy.child.pid, resource.RLIMIT_NOFILE, (64, before[1]))
            waiting = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(100)]
            assert await idle_share(proxy) < 0.05
            await held.send("still here")
            assert await asyncio.wait_for(held.recv(), 5) == "still here"
            resource.prlimit(proxy.child.pid, resource.RLIMIT_NOFILE, before)
            for _, writer in waiting:
                writer.transport.abort()
            await converse(proxy)


async def test_a_failing_accept_is_tried_again_without_spinning(folder, credentials, python_backend):
    with running(folder / "accept", credentials, python_backend) as proxy:
        inject = ["strace", "-f", "-qq", "-e", "trace=accept4", "-e", "inject=accept4:error=EMFILE"]
        log = folder / "accept" / "strace.log"
        strace = subprocess.Popen([*inject, "-o", log, "-p", str(proxy.child.pid)], stderr=subprocess.DEVNULL)
        try:
            await asyncio.sleep(0.5)
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            await asyncio.sleep(3)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait()
        writer.transport.abort()
        tries = log.read_text().count("EMFILE")
        assert 0 < tries < 100, "5 ms doubling to 1 s, on two workers"
        await converse(proxy)


async def test_a_stopped_process_goes_on_where_it_was(folder, credentials, python_backend):
    with running(folder / "stop", credentials, python_backend) as proxy:
        async with proxy.connect("/echo") as held:
            proxy.child.send_signal(signal.SIGSTOP)
            await held.send("x" * 100_000)
            await asyncio.sleep(5)
            proxy.child.send_signal(signal.SIGCONT)
            assert await asyncio.wait_for(held.recv(), 5) == "x" * 100_000
        await converse(proxy)


def log_into(target):
    return ["sh", "-c", f'exec "$@" > {target} 2>&1', "sh"]


async def many(proxy, count):
    gate = asyncio.Semaphore(20)

    async def one():
        async with gate:
            await converse(proxy)

    await asyncio.gather(*(one() for _ in range(count)))


async def test_a_full_disk_under_the_log_ends_nothing(folder, credentials, python_backend):
    with running(folder / "full", credentials, python_backend, log_into("/dev/full")) as proxy:
        await many(proxy, 100)


async def test_a_log_that_nobody_reads_holds_nothing_up(folder, credentials, python_backend):
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with running(folder / "unread", credentials, python_backend, log_into(fifo)) as proxy:
            await many(proxy, 500)  # more lines than a pipe holds
            assert proxy.ready()
    finally:
        os.close(reader)


async def test_steps_of_the_wall_clock_end_nothing(folder, credentials, python_backend):
    clock = folder / "clock"
    clock.write_text("+0s")
    library = subprocess.run(
        ["faketime", "-m", "-f", "+0s", "printenv", "LD_PRELOAD"], capture_output=True, text=True
    )
    settings = [f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    wrap = ["env", f"LD_PRELOAD={library.stdout.strip()}", *settings]
    with running(folder / "faketime", credentials, python_backend, wrap) as proxy:
        async with proxy.connect("/echo") as held:
            for step in ("+30s", "-30s", "+20d", "+0s"):
                clock.write_text(step)
                await asyncio.sleep(1.5)
                await held.send(step)
                assert await asyncio.wait_for(held.recv(), 5) == step
            clock.write_text("+40d")  # past the end of every certificate
            with pytest.raises((OSError, WebSocketException)):
                await converse(proxy)
            await eventually(lambda: "certificate has expired" in proxy.text(), "the log tells why", 5)
        clock.write_text("+0s")
        await converse(proxy)


async def test_a_thousand_clients_reconnect_at_once_after_a_kill(folder, credentials, python_backend):
    first = Tidegate(folder / "killed", credentials, route("/", python_backend[1]))
    await converse(first)
    Tidegate.__base__.stop(first, signal.SIGKILL)
    with running(folder / "again", credentials, python_backend) as proxy:
        trust = credentials.context()

        async def one():
            async with proxy.connect("/echo", ssl=trust, open_timeout=60) as socket:
                await socket.send("again")
                assert await socket.recv() == "again"

        start = time.monotonic()
        await asyncio.gather(*(one() for _ in range(1_000)))
        print(f"{time.monotonic() - start:.1f} s")
        await eventually(lambda: proxy.metric("websockets_open") == 0, "every socket is closed again")
