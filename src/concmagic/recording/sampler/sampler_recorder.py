"""The operating system's view of this process's threads, by a helper process (Linux).

The helper is started at the first cell, stays for the kernel's life and waits between cells. If it
has died, its data is lost and the next cell gets a new one. See `process.py`.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Literal

from concmagic.clock import monotonic
from concmagic.interpreter import c_library
from concmagic.problems import Problem
from concmagic.recording import hosts
from concmagic.recording.sampler.helper import Helper, StandsStillError, reap_late
from concmagic.records.recording import SampleLog

_COLUMNS = 5
_LOOK_S = 0.002
_NO_GIL = "0 0 0 0 -"  # where it lies is not known

_helper: Helper | None = None


class Sampler:
    """Samples the threads of process `pid`, and of its Python children, from `start` to `stop`.

    What went wrong stands in `problems`; nothing is raised.
    """

    def __init__(self, pid: int, files: Literal["syscall", "stat"] = "syscall") -> None:
        self._pid = pid
        self._files = files
        self._running: Helper | None = None
        self._next_look = 0.0
        self.problems: list[Problem] = []

    def start(self) -> None:
        """Begin to sample; the first threads have been seen when this returns."""
        if not _can_sample():
            self.problems.append(Problem.of("no_sampler_here"))
            return
        try:
            if helper_pid() is None or not self._begin_again():
                close()
                self._running = self._begin()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _begin_again(self) -> bool:
        """With the helper of the last cell; False: it has died since."""
        try:
            self._running = self._begin()
        except StandsStillError:
            raise  # to wait for a new one, too, would take this cell longer than its samples are worth
        except (OSError, ValueError):
            return False
        return True

    def _begin(self) -> Helper:
        helper = _running_helper()
        _allow(helper.pid)
        helper.send(f"on {self._pid} {self._files} {_gil()}")
        if helper.line() != "on":
            raise ConnectionError("an unexpected answer")
        return helper

    def watch(self, pid: int) -> None:
        """Sample this process's threads, too, from now on."""
        if self._running is not None:
            self._running.say(f"watch {pid}")  # where its socket is full it will find it by itself

    def look(self) -> None:
        """Say that there is a new thread: it is sampled at once, not when threads are listed next.

        Called by every thread that begins; of many at once the first one says it for all.
        """
        helper, now = self._running, monotonic()
        if helper is not None and now >= self._next_look:
            self._next_look = now + _LOOK_S
            helper.say("look")

    def stop(self) -> SampleLog | None:
        """End sampling and hand the samples over; None if there are none."""
        reap_late()
        helper, self._running = self._running, None
        if helper is None:
            return None
        try:
            helper.send("off")
            return self._read(helper)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return None

    def _read(self, helper: Helper) -> SampleLog:
        word, *values = helper.line().split(" ", 7)
        if word != "rows":
            raise ConnectionError("an unexpected answer")
        rows, rate, asked, used_ns, switches, length = values[:6]
        columns = [helper.receive(int(rows) * 8) for _ in range(_COLUMNS)]
        problems = [part for part in "".join(values[6:]).split("; ") if part]
        self.problems += [Problem.of("sampler_problem", one) for one in problems if one != "no-gil"]
        return SampleLog(
            native_id=columns[0],
            start_ns=columns[1],
            end_ns=columns[2],
            code=columns[3],
            argument=columns[4],
            rate_hz=float(rate),
            asked_hz=float(asked),
            cpu_ns=int(used_ns),
            knows_gil=self._files == "syscall" and not {"no-calls", "no-gil"}.intersection(problems),
            gil_switches=int(switches) if int(switches) >= 0 else None,
            details=_details(helper.receive(int(length))),
        )

    def _give_up(self, error: Exception) -> None:
        """Its evidence of this cell is lost; the next cell gets a new helper."""
        stopped = isinstance(error, StandsStillError) and error.was_stopped
        self.problems.append(Problem.of("sampler_stopped") if stopped else Problem.of("sampler_lost", error))
        if _helper is not None:
            _helper.kill()
        close()


def close() -> None:
    """End the helper process, where there is one."""
    global _helper
    helper, _helper = _helper, None
    if helper is not None:
        helper.close()


def helper_pid() -> int | None:
    """The helper's process id; None when none runs for this process."""
    return _helper.pid if _helper is not None and _helper.owner == os.getpid() else None


def _running_helper() -> Helper:
    """The helper of this process; a new one at the first cell and after a fork."""
    global _helper
    if helper_pid() is None:
        close()
        _helper = Helper()
        atexit.unregister(close)
        atexit.register(close)
    assert _helper is not None
    return _helper


def _details(text: bytes) -> tuple[tuple[int, int, str], ...]:
    """Lines "native id, start, words"."""
    lines = [line.split(" ", 2) for line in text.decode(errors="replace").splitlines()]
    return tuple((int(native_id), int(start_ns), hosts.named(words)) for native_id, start_ns, words in lines)


def _can_sample() -> bool:
    return sys.platform == "linux" and bool(sys.executable) and Path("/proc/self/task").is_dir()


def _gil() -> str:
    from concmagic.interpreter import gil

    place = gil.find()
    if place is None:
        return _NO_GIL
    return f"{place.offset} {place.size} {place.holder} {place.native} {place.file}"


def _allow(helper: int) -> None:
    """Where Yama lets only ancestors look at a process, name the helper as an exception.

    By its number, which could be another's only if it has just died: then `on` goes unanswered.
    """
    if not Path("/proc/sys/kernel/yama/ptrace_scope").exists():
        return
    c_library.let_trace(helper)
