"""Where libraries keep a task waiting for one of their few connections, and how many these are.

By the coroutine that waits, in the file of its library; the pool is in its frame or in that of its caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Ask = Callable[[Any, Any], Any]  # the waiting coroutine's frame, its caller's


def _of_httpcore(own: Any, caller: Any) -> Any:
    return getattr(_self_of(caller), "_max_connections", 0)


def _of_aiohttp(own: Any, caller: Any) -> Any:
    connector = _self_of(own)
    limit, of_host = connector.limit, connector.limit_per_host
    return min(limit, of_host) if limit and of_host else limit or of_host


def _of_asyncpg(own: Any, caller: Any) -> Any:
    return _self_of(own).get_max_size()


# Package, module, and function: in it nothing else is waited for.
_POOLS: dict[tuple[str, str, str], Ask] = {
    ("httpcore", "connection_pool", "AsyncPoolRequest.wait_for_connection"): _of_httpcore,
    ("aiohttp", "connector", "BaseConnector._wait_for_available_connection"): _of_aiohttp,
}
# … and where more is, only while a queue is.
_BY_QUEUE: dict[tuple[str, str, str], Ask] = {
    ("asyncpg", "pool", "Pool._acquire.<locals>._acquire_impl"): _of_asyncpg,
}


def ask_of(code: Any, inner: Any) -> Ask | None:
    """What tells how many connections there are; None, if this, awaiting `inner`, is no wait for one."""
    parts = code.co_filename.replace("\\", "/").removesuffix(".py").split("/")
    module = parts[-1]
    for (package, name, function), ask in (*_POOLS.items(), *_BY_QUEUE.items()):
        if function == code.co_qualname and module == name and package in parts[:-1]:
            by_queue = (package, name, function) in _BY_QUEUE
            return ask if not by_queue or getattr(inner, "co_qualname", "") == "Queue.get" else None
    return None


def size(ask: Ask, node: Any, caller: Any) -> int:
    """How many connections the pool may have; 0 is not known, or no bound."""
    try:
        found = ask(_frame(node), _frame(caller))
    except Exception:  # another version of the library
        return 0
    return found if type(found) is int and 0 < found < 1 << 31 else 0


def _frame(node: Any) -> Any:
    return getattr(node, "cr_frame", None)


def _self_of(frame: Any) -> Any:
    return frame.f_locals.get("self")
