"""The sampler: a process of its own that looks at threads through /proc, needing no GIL for it.

Run as a script by `helper.py`. Arguments: the kernel's process id and the number of cores it may
use. Descriptor 3 is the control socket. Commands are lines: "on PID MODE OFFSET SIZE HOLDER NATIVE FILE"
(the last five say where the GIL is, relative to where FILE is mapped; SIZE 0: not known), "watch PID",
"look" (there is a new thread), "off", "quit".
Between "off" and "on" it waits without a timeout, which costs nothing.
"""

from __future__ import annotations

import gc
import os
import select
import sys

if __name__ == "__main__":  # isolated, without site-packages: ours is found behind the standard library
    here = os.path.abspath(__file__)
    for _ in ("sampler", "recording", "concmagic", "src"):
        here = os.path.dirname(here)
    sys.path.append(here)

from concmagic.clock import monotonic, monotonic_ns, process_time_ns
from concmagic.recording.sampler.process_view import Gil, Process, executable_of
from concmagic.recording.sampler.sampling_rate import Budget
from concmagic.recording.sampler.threads_and_gil import RUNNING, Rows, Thread

CONTROL = 3
MOST_THREADS = 800  # one descriptor each
MOST_PROCESSES = 64
MOST_ROWS = 1_500_000
SLEEPS_ALREADY = 100  # samples that agree, as if they had been taken
LATE_NS = 3_000_000  # between two readings, which take a few microseconds
NAMED_AFTER = 3  # samples in one call: what it waits at is worth looking up
DEAR_NS = 4_000_000  # a tick of hundreds of threads: then new ones wait for the next
LIST_S, CHILDREN_S = 0.005, 0.1
# What can go wrong: words for which the kernel has sentences (`sentences/problems.py`).
NO_CALLS, MANY_THREADS, FULL, NO_GIL = "no-calls", f"many-threads {MOST_THREADS}", "full", "no-gil"
WHOLE_LISTS = 8  # each so many; between them it is enough that the number of threads is the same
TICKS_A_LIST = 3  # where the ticks are far apart, threads are not listed at each


class Session:
    """One cell's sampling."""

    def __init__(self, pid: int, mode: str, gil: Gil, cores: int, gil_start: int = 0) -> None:
        self.rows, self.gil, self.mode = Rows(), gil, mode
        self.budget = Budget(cores)
        self.processes: dict[int, Process] = {}
        self.details: list[str] = []
        self.problems: list[str] = []
        self.ticks, self.began_ns, self.cpu_ns = 0, monotonic_ns(), process_time_ns()
        self.executable = executable_of(pid)
        self.next_list = self.next_children = 0.0
        self.list_again = False  # where there is one new thread there are others soon
        self.lists, self.next_tick = 0, 0.0
        self.pid, self.asked_ns = pid, 0
        self.watch(pid, gil_start)
        self.budget.used_ns = process_time_ns()  # opening all files is no tick
        self.take()
        self.budget.forget()  # the first tick is dearer than any other: it must not slow those after it
        for thread in self.processes[pid].threads.values() if pid in self.processes else ():
            if thread.tid != pid:  # the notebook's own threads, which mostly sleep
                thread.same = SLEEPS_ALREADY

    def watch(self, pid: int, gil_start: int = 0) -> None:
        """Sample this process from now on, unless it is known or there are too many."""
        if pid not in self.processes and len(self.processes) < MOST_PROCESSES:
            process = Process(pid, self.mode, self.gil, gil_start)
            process.find_gil()
            process.list_threads(self.room(), self.rows)
            if process.hides_calls:
                self.without_calls(process)
            self.processes[pid] = process

    def gil_start_of(self, pid: int) -> int:
        """Where the file that holds the GIL begins in a process's memory; 0 is not known."""
        return self.processes[pid].gil_start if pid in self.processes else 0

    def room(self) -> int:
        """How many more threads may be sampled."""
        return MOST_THREADS - sum(len(process.threads) for process in self.processes.values())

    def look(self) -> bool:
        """List the threads at the next tick, for there is a new one. Whether it is worth a tick at once."""
        if self.budget.tick_ns > DEAR_NS:
            return False
        self.next_list, self.list_again = 0.0, True
        return True

    def take_when_due(self, at_once: bool) -> float:
        """One tick, if it is time for it. Returns seconds until the next."""
        left = self.next_tick - monotonic()
        if not at_once and left > 0:
            return left
        pause = self.take()
        self.next_tick = monotonic() + pause
        return pause

    def take(self) -> float:
        """One tick: read who is due. Returns seconds until the next."""
        began = monotonic()
        self.look_around(began)
        running = 0
        for process in list(self.processes.values()):
            self.asked_ns = monotonic_ns()
            process.see_holder(self.asked_ns, self.rows)
            process.clock.see(self.rows)
            for thread in list(process.threads.values()):
                if thread.due(self.ticks):
                    self.read(process, thread)
                running += thread.code == RUNNING
        self.ticks += 1
        pause = self.budget.pause(running, len(self.rows))
        return max(0.0, pause - (monotonic() - began))

    def read(self, process: Process, thread: Thread) -> None:
        """Take one sample of a thread; one that has ended is dropped."""
        try:
            raw = os.pread(thread.file, 256, 0)
        except PermissionError:
            self.without_calls(process)
            return
        except OSError:
            raw = b""
        if not raw:
            if thread.tid in process.threads:
                process.drop(thread.tid, self.rows)
        elif len(self.rows) < MOST_ROWS:
            asked_ns, self.asked_ns = self.asked_ns, monotonic_ns()
            if self.asked_ns - asked_ns > LATE_NS:
                return  # this process lost its core meanwhile: it is not known when the answer was true
            thread.see(raw, self.asked_ns, process.decode, self.rows)
            if thread.same == NAMED_AFTER and thread.code is not None and thread.code >= 0:
                self.name(process, thread, raw)

    def without_calls(self, process: Process) -> None:
        """The system does not show which call a thread waits in, or not of this process."""
        if process.mode == "syscall":
            process.use_state_letters(self.rows)
            process.list_threads(self.room(), self.rows)
            if process.pid == self.pid:
                self.note(NO_CALLS)

    def name(self, process: Process, thread: Thread, raw: bytes) -> None:
        """Note what a thread waits at."""
        words = process.descriptors.of_call(raw)
        if words:
            self.details.append(f"{thread.tid} {thread.start_ns} {words}".replace("\n", " "))

    def look_around(self, now: float) -> None:
        """New threads often, new processes now and then; the more there are, the less often."""
        if now < self.next_list:
            return
        known = MOST_THREADS - self.room()
        pause = 0.0 if self.list_again else TICKS_A_LIST * self.budget.pause_s
        self.next_list = now + max(LIST_S, known * 0.0002, pause)
        whole = self.list_again or self.lists % WHOLE_LISTS == 0
        self.list_again = False
        self.lists += 1
        for process in list(self.processes.values()):
            if not whole and process.has_as_many():
                continue
            if not process.list_threads(len(process.threads) + self.room(), self.rows):
                self.note(MANY_THREADS)
            if process.hides_calls:
                self.without_calls(process)
            if process.gone:
                process.close(self.rows)
                del self.processes[process.pid]
        if now >= self.next_children:
            self.next_children = now + max(CHILDREN_S, known * 0.002)
            self.find_children()

    def find_children(self) -> None:
        """Sample children, too, that run this Python."""
        for process in list(self.processes.values()):
            process.find_gil()
            for pid in process.children():
                if executable_of(pid) == self.executable:
                    self.watch(pid)

    def note(self, problem: str) -> None:
        """Keep a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def finish(self) -> bytes:
        """All columns behind one line: how many rows, how often, at what cost, what went wrong."""
        now_ns = monotonic_ns()
        if len(self.rows) >= MOST_ROWS:
            self.note(FULL)
        if not self.gil_start_of(self.pid):
            self.note(NO_GIL)
        for process in self.processes.values():
            process.close(self.rows)
        self.budget.close()
        seconds = max(1, now_ns - self.began_ns) / 1e9
        rates = f"{self.ticks / seconds:.1f} {self.budget.asked_hz():.1f}"
        used_ns = process_time_ns() - self.cpu_ns
        handovers = self.processes[self.pid].holder.handovers() if self.pid in self.processes else -1
        details = "\n".join(self.details).encode(errors="replace")
        numbers = f"{len(self.rows)} {rates} {used_ns} {handovers} {len(details)}"
        head = f"rows {numbers} {'; '.join(self.problems)}\n"
        return b"".join((head.encode(), *(column.tobytes() for column in self.rows.columns), details))


class Control:
    """The kernel's commands, and the kernel's end."""

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel
        self.pending = b""
        try:
            self.end: int | None = os.pidfd_open(kernel)
        except (OSError, AttributeError):
            self.end = None

    def wait(self, seconds: float | None) -> list[str] | None:
        """Lines that have come; None when the kernel is no more."""
        watched = [CONTROL] if self.end is None else [CONTROL, self.end]
        if self.end is None and seconds is None:
            seconds = 1.0
        ready = select.select(watched, [], [], seconds)[0]
        if self.end in ready or (self.end is None and not os.path.exists(f"/proc/{self.kernel}")):
            return None
        if CONTROL not in ready:
            return []
        received = os.read(CONTROL, 4096)
        if not received:
            return None
        *lines, self.pending = (self.pending + received).split(b"\n")
        return [line.decode(errors="surrogateescape") for line in lines]


def send(data: bytes) -> None:
    """Write all of this to the kernel."""
    view = memoryview(data)
    while view:
        view = view[os.write(CONTROL, view) :]


def serve(kernel: int, cores: int) -> None:
    """Carry out the kernel's commands until it ends or says to stop."""
    control = Control(kernel)
    session: Session | None = None
    pause: float | None = None
    gil_start = 0
    send(f"ready {os.getpid()}\n".encode())
    while (lines := control.wait(pause)) is not None:
        at_once = True
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "on":
                pid, mode, *places, file = rest.split(" ", 6)
                offset, size, holder, native = map(int, places)
                # The kernel's interpreter stays where it is; one that was forked may become another program.
                known = gil_start if int(pid) == kernel else 0
                session = Session(int(pid), mode, (offset, size, holder, native, file), cores, known)
                gil_start = session.gil_start_of(kernel)
                send(b"on\n")
            elif word == "watch" and session:
                session.watch(int(rest))
            elif word == "look" and session:
                at_once = session.look()
            elif word == "off" and session:
                data, session = session.finish(), None
                send(data)
            elif word == "quit":
                return
        pause = session.take_when_due(at_once) if session else None


def detach() -> None:
    """Become nobody's child: a user's `os.wait()` and interrupts of the kernel's group miss it.

    A fork of a process with one thread, which has no children and runs no code but ours.
    """
    os.closerange(CONTROL + 1, 1 << 12)
    os.chdir("/")
    os.setsid()
    if os.fork():
        os._exit(0)


if __name__ == "__main__":
    detach()
    gc.disable()  # nothing here refers to itself
    try:
        serve(int(sys.argv[1]), int(sys.argv[2]))
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        pass  # the kernel has gone, or somebody ended us: there is nobody to tell
    os._exit(0)
