"""What programs of tasks share: the loops they run under, and steps in an order that a test knows."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

SIZE = 1 << 25  # more than the sockets' buffers hold
RUNS = [pytest.param(asyncio.run, id="asyncio")]
if sys.platform != "win32":
    import uvloop

    RUNS.append(pytest.param(uvloop.run, id="uvloop"))


async def turns(how_many: int) -> None:
    """Let the other tasks run until they stand still."""
    for _ in range(how_many):
        await asyncio.sleep(0)


async def exchange() -> tuple[str, str]:
    """The tasks `accepts` and `connects` use the loop's own functions of sockets, and wait in each.

    Returns the addresses of the one that listens and of the one that has connected.
    """

    async def accepts() -> None:
        connection, _ = await loop.sock_accept(listening)
        with connection:
            await gate.wait()
            while await loop.sock_recv(connection, 1 << 20):
                pass

    async def connects() -> str:
        with socket.socket() as connection:
            connection.setblocking(False)
            await loop.sock_connect(connection, listening.getsockname())
            connected.set()
            await loop.sock_sendall(connection, bytes(SIZE))
            return "{}:{}".format(*connection.getsockname())

    loop, gate, connected = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        tasks = asyncio.create_task(accepts()), asyncio.create_task(connects())
        await connected.wait()
        await turns(5)
        gate.set()
        _, client = await asyncio.gather(*tasks)
        return "{}:{}".format(*listening.getsockname()), client
