"""Tasks that queue for one of a pool's few connections: the client is the bound, not the server."""

from __future__ import annotations

import pytest

from conftest import Kernel

# A server in a thread of its own; it answers when all that may come at once have come, so that none is early.
SETUP = """
import asyncio, threading
import aiohttp, httpx

class Server:
    def __init__(self, at_once):
        self.at_once, self.here, self.full = at_once, 0, None
        started = threading.Event()
        def run():
            async def main():
                self.full = asyncio.Event()
                self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
                server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
                self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
                started.set()
                await self.over.wait()
                server.close()
            asyncio.run(main())
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        started.wait(20)

    async def serve(self, reader, writer):
        try:
            while await reader.readuntil(b"\\r\\n\\r\\n"):
                self.here += 1
                if self.here == self.at_once: self.full.set()
                await asyncio.wait_for(self.full.wait(), 20)
                await asyncio.sleep(0.05)
                writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

async def by_httpx(url, most, many):
    limits = httpx.Limits(max_connections=most)
    async with httpx.AsyncClient(limits=limits, trust_env=False, timeout=None) as client:
        return [one.text for one in await asyncio.gather(*(client.get(url) for _ in range(many)))]

async def fetch(session, url):
    async with session.get(url) as answer:
        return await answer.text()

async def by_aiohttp(url, most, many):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=most)) as session:
        return await asyncio.gather(*(fetch(session, url) for _ in range(many)))

def told(trace):
    return [(f.message, f.values.most, f.values.queued, f.values.by)
            for f in trace.findings if f.lint == "concurrency-capped"]
"""


@pytest.mark.parametrize("client", ["by_httpx", "by_aiohttp"])
def test_a_pool_of_few_connections_is_told_with_its_size(kernel: Kernel, client: str) -> None:
    kernel.check(SETUP)
    kernel.check(f"server = Server(2)\nawait {client}(server.url, 2, 2)")  # what it imports is imported
    kernel.check(f"%%asyncio_trace -q -o trace\nawait {client}(server.url, 2, 8)")
    ((message, most, queued, by),) = kernel.value("told(trace)")
    assert (most, queued, by) == (2, 6, "connections")
    assert (
        message.startswith("A pool of connections") and "no more than 2 through at once: 6 queued" in message
    )
    reasons = "{s.reason for t in trace.tracks if t.kind == 'task' for s in t.states}"
    assert "connection pool" in kernel.value(reasons)


@pytest.mark.parametrize("client", ["by_httpx", "by_aiohttp"])
def test_a_pool_with_room_for_all_is_not_told(kernel: Kernel, client: str) -> None:
    kernel.check(SETUP)
    kernel.check("server = Server(8)")
    kernel.check(f"%%asyncio_trace -q -o trace\nawait {client}(server.url, 8, 8)")
    assert kernel.value("told(trace)") == []
