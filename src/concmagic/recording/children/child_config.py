"""What a child is told, and how it gets aboard: plain values, so that nothing is imported to read them.

For those that start children: `HooksProtocol` is where they get it from.
"""

from __future__ import annotations

import linecache
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from concmagic.interpreter import shadowing_files
from concmagic.interpreter import viztracer_library as library
from concmagic.recording.labels import cut

if TYPE_CHECKING:  # no child that starts makes such a class
    from collections.abc import Callable
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
    from concmagic.interpreter import shadowing_files
    shadowing_files.know(*config["shadows"])
    with shadowing_files.ours_only():
        from concmagic.recording.children.child_entry import begin_spawned
except Exception:  # its Python knows no concmagic, or something else stands where ours imports from
    pass
else:
    with shadowing_files.ours_only():
        begin_spawned(config, begun_ns)
if hears:  # the interrupt that came meanwhile
    import signal
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
"""


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
    shadows: tuple[list[str], list[str]] = ([], [])  # folders and names of `interpreter.shadowing_files`

    def with_folder(self, folder: Path) -> ChildConfig:
        """The same, now that there is a folder."""
        return self._replace(folder=os.fspath(folder))

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
        """The same, made out to one child."""
        return self._replace(
            name=cut(child.name),
            start_method=child.start_method,
            group=child.group,
            parent_pid=child.parent_pid,
            started_ns=child.started_ns,
            budget=_share(self.budget, child.earlier),
            sources=_sources(self.cell_file),
            tracer_file=library.file(),
            shadows=shadowing_files.known(),
        )


def _share(budget: int, earlier: int) -> int:
    """How many events a child may record where others were started before it.

    The first two the whole budget, then a half, a third, and so on: of 64 children together six budgets,
    which their parent has to read.
    """
    return min(budget, max(LEAST_EVENTS, budget // max(1, earlier)))


def fields_of(config: ChildConfig) -> dict[str, Any]:
    """A config as plain values."""
    return config._asdict()


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
        fields = fields_of(self._config)
        root = os.fspath(Path(__file__).parents[3])
        return exec, (_ABOARD, {"root": root, "config": fields, "hears": self._hears})
