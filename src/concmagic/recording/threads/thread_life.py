"""The life of one thread while it is observed: what becomes its record."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from concmagic.clock import clock_gettime_ns, thread_time_ns
from concmagic.interpreter.frames_and_threads import excepthook_of, has_excepthook, set_excepthook
from concmagic.recording.labels import cut

if TYPE_CHECKING:
    from concmagic.records.handed_over import Origin, ThreadRecord


_MOST_MOMENTS = 2000  # pairs of a thread's clock that are kept
_MOST_FRAMES = 1000
_MOST_TEXT = 300  # characters of an exception's message
_PER_THREAD_CPU_TIME = 0b110  # from the kernel's posix-timers: a thread's clock, scheduled time


_AUTOMATIC_NAME = re.compile(r"(Thread-\d+)(?: \(.*\))?")


class Life:
    """Mutable while the thread lives; holds numbers and text only, nothing of the user's."""

    __slots__ = (
        "begun_ns", "cpu_end_ns", "cpu_start_ns", "daemon", "ended_ns", "exception", "frames", "group",
        "ident", "is_server", "moments", "name", "native_id", "origin", "served", "serves",
        "serving_since_ns", "started_ns", "starter", "switches", "switches_before", "watching", "worked",
    )  # fmt: skip

    def __init__(self, name: str, daemon: bool, origin: Origin) -> None:
        self.name = name
        self.daemon = daemon
        self.origin: Origin = origin
        self.group = ""
        self.native_id = 0
        self.ident = 0
        self.started_ns: int | None = None
        self.begun_ns: int | None = None
        self.ended_ns: int | None = None
        self.starter: int | None = None
        self.worked = False  # a pool job of this cell ran on it, or a request of it was served there
        self.serves = ""  # what serves there: the user's class
        self.served: list[tuple[int, int]] = []
        self.serving_since_ns: int | None = None
        self.is_server = False  # it waits for requests, or for records of a log, and serves them
        self.exception = ""
        self.frames: tuple[tuple[str, int, str], ...] = ()
        self.switches_before = (0, 0)  # of a thread that was there before the cell
        self.switches: tuple[int, int] | None = None
        self.cpu_start_ns: int | None = None
        self.cpu_end_ns: int | None = None
        self.moments: list[tuple[int, int]] = []
        self.watching: Any = None  # what it calls as it dies

    def begin(self, now_ns: int, native_id: int, ident: int) -> None:
        """In the thread itself, first thing."""
        self.begun_ns, self.native_id, self.ident = now_ns, native_id, ident
        self.note_cpu(now_ns, thread_time_ns())
        self.cpu_start_ns = 0  # what it used before our first instruction is its own, too

    def end(self, now_ns: int) -> None:
        """In the thread itself, last thing."""
        self.ended_ns = now_ns
        if threading.get_native_id() == self.native_id:
            self.note_cpu(now_ns, thread_time_ns(), last=True)
            self.switches = switches()

    def note_cpu(self, now_ns: int, cpu_ns: int, last: bool = False) -> None:
        """Keep a reading of the thread's CPU clock."""
        if self.cpu_start_ns is None:
            self.cpu_start_ns = cpu_ns
        cpu_ns = max(cpu_ns, self.cpu_end_ns or 0)  # a list of all threads is told in coarser steps
        self.cpu_end_ns = cpu_ns
        if last or len(self.moments) < _MOST_MOMENTS:
            self.moments.append((now_ns, cpu_ns))

    def name_by_what_it_does(self) -> None:
        """Put the user's function into a name that `threading` gave by itself: "Thread-5 (f)"."""
        match = _AUTOMATIC_NAME.fullmatch(self.name) if self.serves else None
        if match is not None:
            self.name = f"{match[1]} ({self.serves})"

    def watch_exception(self, thread: threading.Thread) -> None:
        """Note the exception that the thread dies of, on its way to `threading.excepthook`."""
        invoke = excepthook_of(thread)
        if invoke is None:
            return

        def noting(dying: threading.Thread) -> Any:
            error = sys.exc_info()[1]
            if not self.exception:
                self.exception, self.frames = describe(error), frames_of(error)
            return invoke(dying)

        self.watching = noting
        set_excepthook(thread, noting)
        noting.__wrapped__ = invoke  # type: ignore[attr-defined]

    def leave(self, thread: threading.Thread, name: str) -> None:
        """Take its last name, and our hook off it."""
        self.name = name
        hook, self.watching = self.watching, None
        if hook is not None and has_excepthook(thread, hook):
            set_excepthook(thread, vars(hook)["__wrapped__"])

    def record(self, origin: Origin) -> ThreadRecord:
        """What is known of it now."""
        from concmagic.records.handed_over import ThreadRecord  # its class is made late: a child waits

        used = None
        if self.cpu_start_ns is not None and self.cpu_end_ns is not None and len(self.moments) > 1:
            used = self.cpu_end_ns - self.cpu_start_ns
        return ThreadRecord(
            native_id=self.native_id,
            ident=self.ident,
            name=self.name,
            daemon=self.daemon,
            origin=origin,
            started_ns=self.started_ns,
            begun_ns=self.begun_ns,
            ended_ns=self.ended_ns,
            starter=self.starter,
            group=self.group,
            cpu_ns=used,
            cpu_by_moment=tuple(self.moments),
            exception=self.exception,
            frames=self.frames,
            switches=self._switches(),
            served=tuple(self.served),
            is_server=self.is_server,
        )

    def _switches(self) -> tuple[int, int] | None:
        if self.switches is None:
            return None
        (gave_up, lost), (gave_up_before, lost_before) = self.switches, self.switches_before
        return gave_up - gave_up_before, lost - lost_before


def frames_of(error: BaseException | None) -> tuple[tuple[str, int, str], ...]:
    """Where an exception was raised: file, line and function of each frame, outermost first."""
    if error is None or isinstance(error, SystemExit):
        return ()
    found: list[tuple[str, int, str]] = []
    traceback = error.__traceback__
    while traceback is not None and len(found) < _MOST_FRAMES:
        code = traceback.tb_frame.f_code
        found.append((code.co_filename, traceback.tb_lineno, code.co_qualname))
        traceback = traceback.tb_next
    return tuple(found)


def describe(error: BaseException | None) -> str:
    """An exception as its type and a shortened message; "" for the one that ends a thread silently."""
    if error is None or isinstance(error, SystemExit):
        return ""
    try:
        message = cut(error, _MOST_TEXT)
    except Exception:  # a message that cannot be made is the user's business, not ours
        message = "…"
    kind = cut(type(error).__qualname__)
    return f"{kind}: {message}" if message else kind


def cpu_ns(native_id: int) -> int | None:
    """CPU time of a thread of this process so far; None where it cannot be told or the thread is gone."""
    if native_id == threading.get_native_id():
        return thread_time_ns()
    if sys.platform != "linux":
        return listed().get(native_id)
    try:
        return clock_gettime_ns((~native_id << 3) | _PER_THREAD_CPU_TIME)
    except OSError:
        return None


def reader() -> Callable[[int], int | None]:
    """Something like `cpu_ns` for many threads at this moment: a list is made once for all of them."""
    if sys.platform == "linux":
        return cpu_ns
    used = {**listed(), threading.get_native_id(): thread_time_ns()}
    return used.get


def listed() -> dict[int, int]:
    """CPU time by native id of all threads of this process, as psutil knows it; empty where it knows others.

    It moves in the steps of the system's clock, 10 to 16 milliseconds.
    """
    try:
        import psutil

        used = {one.id: round(1e9 * (one.user_time + one.system_time)) for one in psutil.Process().threads()}
    except Exception:  # not installed, not allowed, no list on this system
        return {}
    return used if threading.get_native_id() in used else {}


def switches() -> tuple[int, int] | None:
    """How often the calling thread was off its core by itself, and not by itself; None where not counted."""
    if sys.platform != "linux":
        return None
    import resource

    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_nvcsw, used.ru_nivcsw
