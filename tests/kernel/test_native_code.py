"""What a thread does in native code: it waits for no lock of Python's, nor is starting a program computing.

Polars, torch, ray and numpy's own threads are of this kind. Here it is written in C, so that it is known what
was waited for, and how much was computed.
"""

from __future__ import annotations

import pytest
from tests.kernel.conftest import Kernel

pytestmark = pytest.mark.sampled

# `compute(ms)` sleeps until another thread says that it has computed for so long.
LIBRARY = """
#include <pthread.h>
#include <semaphore.h>
#include <time.h>
static sem_t done;
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}
static void *burn(void *ms) {
    double end = now() + *(int *)ms;
    while (now() < end);
    sem_post(&done);
    return 0;
}
void compute(int ms) {
    pthread_t other;
    sem_init(&done, 0, 0);
    pthread_create(&other, 0, burn, &ms);
    sem_wait(&done);
    pthread_join(other, 0);
}
"""
BUILD = f"""
import subprocess
open("pool.c", "w").write({LIBRARY!r})
subprocess.run(["cc", "-shared", "-fPIC", "-o", "pool.so", "pool.c", "-lpthread"], check=True)
import ctypes, os
compute = ctypes.CDLL(os.path.join(os.getcwd(), "pool.so")).compute
compute.argtypes = [ctypes.c_int]
"""


@pytest.fixture
def built(fresh_kernel: Kernel) -> Kernel:
    fresh_kernel.check("%load_ext concmagic")
    fresh_kernel.check(BUILD)
    fresh_kernel.check("%%threads -q\n1")  # imports of ours, and of the library's names, are done
    return fresh_kernel


@pytest.mark.parametrize("option", ["", "--detail states"])
def test_a_wait_in_native_code_is_none_for_a_lock(built: Kernel, option: str) -> None:
    ran = built.check(f"%%threads -o trace {option}\nvalue = 1\ncompute(700)")
    main = "[one for one in trace.tracks if one.host][0].states"
    longest = built.value(
        f"max((one.length_ns, one.state.value, one.reason, one.line) for one in {main})[1:]"
    )
    assert longest == ("waiting", "native code", 3)
    assert "spent in native code, at line 3." in ran.displays[-1]["text/plain"]


def test_what_native_threads_compute_is_among_the_first_numbers(built: Kernel) -> None:
    built.check("%%threads -q -o trace\ncompute(700)")
    native = 0.7 / built.value("trace.wall_s")  # they say so when they have computed that much
    assert built.value("trace.metrics.native_threads") == pytest.approx(native, rel=0.1)
    assert built.value("trace.metrics.parallelism") >= 0.9 * native


PROGRAM = """\
%%threads -o trace {option}
import os
opens = (os.POSIX_SPAWN_OPEN, 0, "fifo", os.O_RDONLY, 0)
reader = os.posix_spawn("/bin/true", ["true"], {{}}, file_actions=[opens])
code = os.waitpid(reader, 0)[1]
"""


@pytest.mark.parametrize("option", ["", "--detail states"])
def test_a_program_that_only_starts_keeps_its_parent_waiting(built: Kernel, option: str) -> None:
    """The new process has its parent's memory until it runs the program, here only once a file is opened."""
    built.check(
        "import os, subprocess\nos.mkfifo('fifo')\n"
        "writer = subprocess.Popen(['sh', '-c', 'sleep 1.5; : > fifo'])"
    )
    ran = built.check(PROGRAM.format(option=option))
    assert built.value("code, writer.wait()") == (0, 0)
    main = "[one for one in trace.tracks if one.host][0]"
    spent = built.value(
        f"max((one.length_ns, one.state.value, one.reason) for one in {main}.states)[1:], "
        f"sum(one.length_ns for one in {main}.states if one.state.value == 'running'), {main}.cpu_ns"
    )
    longest, running_ns, cpu_ns = spent
    assert longest == ("waiting", "process start")
    assert running_ns <= 1.2 * cpu_ns + 5_000_000
    assert "starting a process" in ran.displays[-1]["text/plain"].partition("concurrency")[0]
