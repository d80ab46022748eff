"""A thread that stops the recording of calls when the budget is used, and lets what is new be passed on."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

from concmagic.recording import ours
from concmagic.recording.calls.event_nodes import used
from concmagic.recording.calls.process_tracer import ProcessTracer
from concmagic.recording.calls.thread_profiles import NEEDED

# The fastest code makes some six million events a second: half of what remains at that pace.
_FASTEST_PER_S = 6e6
_SHORTEST_S, _LONGEST_S = 0.005, 0.025
_FAREWELL_S = 2.0
_IGNORED_DEPTH = 1000  # so deep that returns without a call, at the recording's start, do not lead out


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
        self._end = _thread.allocate_lock()  # held while it shall watch
        self._ended = _thread.allocate_lock()  # held while it lives
        self._hidden = _thread.allocate_lock()  # held until VizTracer ignores it
        self.native_id = 0

    def start(self) -> None:
        """Return when it watches, unseen: later VizTracer might ask `threading` who it is."""
        for lock in (self._end, self._ended, self._hidden):
            lock.acquire()
        _thread.start_new_thread(self._run, ())
        self._hidden.acquire(timeout=_FAREWELL_S)

    def stop(self) -> None:
        """End it and wait until it is gone. Harmless when it has ended already."""
        if self._end.locked():
            self._end.release()
        if self._ended.acquire(timeout=_FAREWELL_S):
            self._ended.release()

    def _run(self) -> None:
        self.native_id = threading.get_native_id()
        ours.add(self.native_id)
        try:
            self._hide()
            self._watch()
        except Exception as error:  # raised, it would be printed into the cell
            self._failed(error)
        finally:
            ours.remove(self.native_id)
            if self._hidden.locked():  # it failed before
                self._hidden.release()
            self._ended.release()

    def _hide(self) -> None:
        # Up to 3.11 VizTracer meets no thread that is started below `threading`. Nor shall it: when one ends
        # that it has met, it asks for the GIL once more, and that may be while the interpreter ends.
        if not NEEDED:  # it shall not record it: it believes to be deep inside an ignored call
            self._process.tracer.setignorestackcounter(_IGNORED_DEPTH)
        self._hidden.release()

    def _watch(self) -> None:
        while (remaining := self._limit - used(self._process.head)) > 0:
            self._on_look()
            pause = remaining / 2 / _FASTEST_PER_S
            if self._end.acquire(timeout=min(_LONGEST_S, max(_SHORTEST_S, pause))):
                return
        self._on_full()
        while self._on_look():
            if self._end.acquire(timeout=_LONGEST_S):
                return
