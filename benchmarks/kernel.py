"""A real kernel to measure in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jupyter_client.manager import KernelManager


@dataclass(frozen=True)
class Reply:
    """How a cell went: seconds from request to reply, the error's name, the size of its outputs."""

    seconds: float
    error: str
    html_bytes: int


class BenchKernel:
    """Runs code in one kernel of this Python; use it in a `with`."""

    def __enter__(self) -> BenchKernel:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code: str) -> Reply:
        """Run one cell to its end."""
        html: list[int] = []

        def take(message: dict[str, Any]) -> None:
            data = message["content"].get("data", {})
            html.append(len(data.get("text/html", "").encode()))

        began = time.perf_counter()
        reply = self._client.execute_interactive(code, timeout=300, output_hook=take)
        seconds = time.perf_counter() - began
        return Reply(seconds, reply["content"].get("ename", ""), sum(html))

    def value(self, expression: str) -> float:
        """The value of an expression in the kernel, as a number."""
        reply = self._client.execute_interactive(
            "", user_expressions={"it": f"float({expression})"}, timeout=300, output_hook=lambda _: None
        )
        answer = reply["content"]["user_expressions"]["it"]
        if answer["status"] != "ok":
            raise RuntimeError(f"{expression}: {answer['evalue']}")
        return float(answer["data"]["text/plain"])
