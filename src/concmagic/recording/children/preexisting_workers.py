"""Worker processes that were there before the cell, started by cells that nobody traced.

Nothing of ours is in them: what is known is their name, and what the operating system tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from concmagic.interpreter.process_start import living_children
from concmagic.recording.children.child_table import Child
from concmagic.recording.labels import cut

if TYPE_CHECKING:
    from concmagic.recording.children.hooks_protocol import HooksProtocol


_METHODS = {"ForkProcess": "fork", "SpawnProcess": "spawn", "ForkServerProcess": "forkserver"}


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    pid: int
    kind: str
    cpu: int  # clock ticks when the cell began


class Earlier:
    """The children of multiprocessing that live when the cell begins."""

    def __init__(self, hooks: HooksProtocol, watch: Callable[[int], object] | None) -> None:
        self._hooks = hooks
        found = (_known(one) for one in living_children())
        self._known = [one for one in found if one is not None]
        for one in self._known:
            if watch is not None:
                watch(one.pid)

    def that_worked(self, told: Collection[int]) -> list[Child]:
        """Those that computed in the cell, but for those that told of it themselves."""
        worked = []
        for one in self._known:
            now = _cpu(one.pid)
            if one.pid not in told and now is not None and now > one.cpu:
                worked.append(
                    Child(
                        name=one.name,
                        start_method=_METHODS.get(one.kind, "loky" if one.kind == "LokyProcess" else ""),
                        origin="user",
                        group="earlier workers",
                        parent_pid=self._hooks.config.parent_pid,
                        started_ns=0,
                        starter=0,
                        pid=one.pid,
                        is_earlier=True,
                    )
                )
        return worked


def _known(one: Any) -> _Known | None:
    pid = getattr(one, "pid", None)
    cpu = None if pid is None else _cpu(pid)
    return None if pid is None or cpu is None else _Known(cut(one.name), pid, type(one).__name__, cpu)


def _cpu(pid: int) -> int | None:
    """Clock ticks that a process has computed; None if it is gone, or where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])
