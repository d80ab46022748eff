"""Real kernels to measure in."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jupyter_client.manager import KernelManager

from cells import BenchCell
from ways import Way

NAN = float("nan")
_RESET = (
    "began = ended = reached = load_seconds = cpu_began = cpu_ended = children_began = children_ended = "
    "float('nan')"
)
_PEAK = "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss / 1000"


@dataclass(frozen=True)
class Measured:
    """One cell run one way. Seconds; NaN is what did not happen."""

    own: float  # of the cell's own body
    after: float  # from the body's end to the reply: recording read, picture drawn
    reached: float  # from the body's start to the line that sets `reached`
    load: float  # VizTracer's own load() of the events
    html_bytes: int
    sampler: float  # of one core, on average: what the sampler used
    error: str  # the name of the error it ended with, "" is none
    peak: float = NAN  # MB: the kernel's largest memory until then
    cpu: float = NAN  # of the cell's own body
    told: float = NAN  # what the picture says that tracing cost
    children_cpu: float = NAN  # of the children that the cell's own body joined

    @property
    def whole(self) -> float:
        """From the request to the reply."""
        return self.own + self.after


class BenchKernel:
    """Runs cells one way in one kernel of this Python; use it in a `with`."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def __enter__(self) -> BenchKernel:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=tempfile.gettempdir())
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self._broken = self._execute(self._way.setup)[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def measure(self, cell: BenchCell) -> Measured:
        """Run the cell once."""
        if self._broken:
            return Measured(NAN, NAN, NAN, NAN, 0, NAN, self._broken)
        self._execute(_RESET)
        began = time.perf_counter()
        error, html_bytes = self._execute(self._way.wrap(cell))
        seconds = time.perf_counter() - began
        own = self._value("ended - began")
        return Measured(
            own,
            seconds - own,
            self._value("reached - began"),
            self._value("load_seconds"),
            html_bytes,
            self._value("(lambda t: t.cost.sampler_s / t.wall_s)(__import__('concmagic').last())"),
            error,
            self._value(_PEAK),
            self._value("cpu_ended - cpu_began"),
            self._value("__import__('concmagic').last().cost.seconds"),
            self._value("children_ended - children_began"),
        )

    def interrupt(self, cell: BenchCell) -> float:
        """Seconds from the interrupt to the reply, when the picture has been drawn; NaN: there was none."""
        sent = self._client.execute(self._way.wrap(cell))
        while "here" not in self._output_of(sent).get("text", ""):
            pass
        began = time.perf_counter()
        self._manager.interrupt_kernel()
        drawn = False
        while (content := self._output_of(sent)).get("execution_state") != "idle":
            drawn |= "text/html" in content.get("data", {})
        seconds = time.perf_counter() - began
        self._client.get_shell_msg(timeout=60)
        return seconds if drawn else NAN

    def _output_of(self, sent: str) -> dict[str, Any]:
        """The content of the next message that the cell put out."""
        while True:
            message = self._client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == sent:
                return dict(message["content"])

    def _execute(self, code: str) -> tuple[str, int]:
        """Run code; the name of its error, and how many bytes of HTML it put out."""
        html: list[int] = []
        told: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            html.append(len(content.get("data", {}).get("text/html", "").encode()))
            if message["msg_type"] == "error":
                told.append(content["ename"])

        reply = self._client.execute_interactive(code, timeout=1800, output_hook=take)
        return reply["content"].get("ename", "") or "".join(told[:1]), sum(html)

    def _value(self, expression: str) -> float:
        reply = self._client.execute_interactive(
            "", user_expressions={"it": f"float({expression})"}, timeout=300, output_hook=lambda _: None
        )
        answer = reply["content"]["user_expressions"]["it"]
        return float(answer["data"]["text/plain"]) if answer["status"] == "ok" else NAN
