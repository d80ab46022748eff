"""A thread that stops the recording of calls when the budget is used, and lets what is new be passed on."""

from __future__ import annotations

import _thread
from collections.abc import Callable

from concmagic.interpreter.event_nodes import used
from concmagic.interpreter.viztracer_tracer import ProcessTracer
from concmagic.recording.own_threads import FAREWELL_S, OwnThread

# The fastest code makes some six million events a second: half of what remains at that pace.
_FASTEST_PER_S = 6e6
_SHORTEST_S, _LONGEST_S = 0.005, 0.025


class BudgetWatcher:
    """Looks at the fill level, more often the closer it comes to `limit`; calls `on_look` each time.

    After the limit it goes on as long as `on_look` says that there is more to do.

    Started below `threading`, which therefore does not know it: it is in no list and no count.
    """

    def __init__(
        self,
        process: ProcessTracer,
        limit: int,
        on_full: Callable[[], None],
        on_look: Callable[[], bool],
        failed: Callable[[Exception], None],
    ) -> None:
        self._process = process
        self._limit = limit
        self._on_full = on_full
        self._on_look = on_look
        self._failed = failed
        self._thread = OwnThread(self._run)
        self._hidden = _thread.allocate_lock()  # taken until no tracer is told of it

    @property
    def native_id(self) -> int:
        """Of its thread."""
        return self._thread.native_id

    def start(self) -> None:
        """Return when it watches, unseen: later VizTracer might ask `threading` who it is.

        Raises RuntimeError where no thread is to be had.
        """
        self._hidden.acquire(blocking=False)
        self._thread.start()
        self._hidden.acquire(timeout=FAREWELL_S)

    def stop(self) -> None:
        """End it and wait until it is gone. Harmless when it has ended already."""
        self._thread.end()

    def _run(self) -> None:
        try:
            self._hidden.release()
            self._watch()
        except Exception as error:  # raised, it would be printed into the cell
            self._failed(error)
        finally:
            if self._hidden.locked():  # it failed before
                self._hidden.release()

    def _watch(self) -> None:
        while (remaining := self._limit - used(self._process.head)) > 0:
            self._on_look()
            pause = remaining / 2 / _FASTEST_PER_S
            if self._thread.pause(min(_LONGEST_S, max(_SHORTEST_S, pause))):
                return
        self._on_full()
        while self._on_look():
            if self._thread.pause(_LONGEST_S):
                return
