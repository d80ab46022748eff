"""What a child is told, and how it gets aboard: plain values, so that nothing is imported to read them.

Those that start children see their process's hooks as `HooksProtocol`: the hooks import them.
"""

from __future__ import annotations

import linecache
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from concmagic import code_owner
from concmagic.clock import monotonic_ns
from concmagic.interpreter import process_internals
from concmagic.interpreter import viztracer_library as library
from concmagic.interpreter.borrowing import Patches
from concmagic.recording.guards import watched
from concmagic.recording.labels import cut, text_of

if TYPE_CHECKING:  # no child that starts makes such a class
    from typing import Protocol, TypeVar

    from concmagic.recording.children.child_table import Child, Family
    from concmagic.records.handed_over import Origin

    T = TypeVar("T")

    class HooksProtocol(Protocol):
        """What the parts that watch starts and ends of children need of their process's Hooks."""

        config: ChildConfig
        family: Family
        before_child: Callable[[], None]

        def guard(self, action: Callable[[], T]) -> T | None:
            """Do something of ours in the midst of what is the user's."""

        def group_of(self, process_obj: Any) -> tuple[Origin, str]:
            """Origin and pool of a process that is about to start."""

        def patch_loaded(self) -> None:
            """Watch what is imported only when it is first used."""

        def born(self, child: Child, pid: int) -> None:
            """A child has come to life."""


# It runs in the child before anything else of multiprocessing's message is used. The child's
# Python may know no concmagic at all (`set_executable`): then it runs as it would without us.
_ABOARD = """
import sys, time
begun_ns = time.monotonic_ns()
if root not in sys.path:
    sys.path.append(root)
try:
    from concmagic import code_owner
    code_owner.know_shadows(*config["shadows"])
    with code_owner.ours_only():
        from concmagic.recording.children.child_entry import begin_spawned
except Exception:  # its Python knows no concmagic, or something else stands where ours imports from
    pass
else:
    with code_owner.ours_only():
        begin_spawned(config, begun_ns)
if hears:  # the interrupt that came meanwhile
    import signal
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
"""


_BY_MESSAGE = ("spawn", "forkserver", "loky")  # such a child reads first what it is
LEAST_EVENTS = 10_000  # of a child, if the budget has so many


class ChildConfig(NamedTuple):
    """Where a child hands over its records, and how it records.

    No dataclass: to make one takes a child that starts a millisecond, and their module five.
    """

    folder: str = ""
    detail: str = "auto"
    budget: int = 300_000
    cell_file: str = ""
    name: str = ""
    start_method: str = ""
    group: str = ""
    parent_pid: int = 0
    started_ns: int = 0
    sources: dict[str, list[str]] | None = None
    tracer_file: str = ""  # where VizTracer's extension module lies
    is_earlier: bool = False  # the child was there before this cell
    shadows: tuple[list[str], list[str]] = ([], [])  # folders and names of `code_owner`

    def for_earlier(self, how_many: int) -> dict[str, Any]:
        """What children of an earlier cell are told of this one, so many together."""
        return {
            "folder": self.folder,
            "detail": self.detail,
            "budget": _share(self.budget, how_many - 1),
            "cell_file": self.cell_file,
            "sources": _sources(self.cell_file),
            "is_earlier": True,
        }

    def for_child(self, child: Child) -> ChildConfig:
        """The config of one child."""
        return self._replace(
            name=cut(child.name),
            start_method=child.start_method,
            group=child.group,
            parent_pid=child.parent_pid,
            started_ns=child.started_ns,
            budget=_share(self.budget, child.earlier),
            sources=_sources(self.cell_file),
            tracer_file=library.file(),
            shadows=code_owner.known_shadows(),
        )


def _share(budget: int, earlier: int) -> int:
    """How many events a child may record where others were started before it.

    The first two the whole budget, then a half, a third, and so on: of 64 children together six budgets,
    which their parent has to read.
    """
    return min(budget, max(LEAST_EVENTS, budget // max(1, earlier)))


def _sources(cell_file: str) -> dict[str, list[str]]:
    """The cell's lines, so that the child's tracebacks show them."""
    entry = linecache.cache.get(cell_file)
    return {cell_file: list(entry[2])} if entry is not None and len(entry) == 4 else {}


class Boarding:
    """Put into a message to a spawned child, it starts the recording there when it is read."""

    def __init__(self, config: ChildConfig, hears: bool) -> None:
        self._config = config
        self._hears = hears  # interrupts again, from then on

    def __reduce__(self) -> tuple[Any, ...]:
        root = os.fspath(Path(__file__).parents[3])
        return exec, (_ABOARD, {"root": root, "config": self._config._asdict(), "hears": self._hears})


def patch_messages(hooks: HooksProtocol, patches: Patches, spawning: Any, reducing: Any) -> None:
    """What a child is told at its start: who it is, and what it is to do."""
    patches.wrap(spawning, process_internals.PREPARATION, partial(_preparation_data, hooks))
    sent = _sent_to_child(hooks)
    patches.wrap(reducing, "dump", lambda original: watched(original, sent, monotonic_ns))


def _sent_to_child(hooks: HooksProtocol) -> Callable[..., None]:
    def sent(begun_ns: int, result: None, value: Any, file: Any, *rest: Any, **more: Any) -> None:
        child = hooks.family.coming
        if child is not None and child.pid == 0:
            child.sent_bytes = file.tell()
            child.sent_ns += monotonic_ns() - begun_ns

    return sent


def _preparation_data(hooks: HooksProtocol, original: Any) -> Any:
    def get_preparation_data(name: str, *rest: Any) -> dict[str, Any]:
        data: dict[str, Any] = original(name, *rest)
        child = hooks.family.coming
        if child is not None and child.start_method in _BY_MESSAGE and text_of(name) == child.name:
            hooks.guard(partial(_board, hooks, child, data))
        return data

    return get_preparation_data


def _board(hooks: HooksProtocol, child: Child, data: dict[str, Any]) -> None:
    if not hooks.config.folder:  # there is nowhere to hand over
        return
    # The notebook's code goes by value: no file has to be run again as `__main__`.
    data.pop("init_main_from_path", None)
    data.pop("init_main_from_name", None)
    child.is_deaf = child.start_method == "spawn" and not _blocks_interrupts()
    data["concmagic"] = Boarding(hooks.config.for_child(child), hears=child.is_deaf)


def _blocks_interrupts() -> bool:
    return sys.platform == "win32" or signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
