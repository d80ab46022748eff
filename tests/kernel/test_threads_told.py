"""What is told of threads in real cells: their waits and what they are for, families, ends, prints."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from interrupts import ENDED
from tests.kernel.conftest import Kernel, unpacked

ASKED = """
from concmagic.sentences import way_to
def told(trace):
    return {track.name: [(one.state.value, one.reason, trace.detail_of(one), one.line, one.length_ns / 1e9)
                         for one in track.states]
            for track in trace.tracks if track.kind == "thread"}

def flows(trace, kind):
    names = {track.id: track.name for track in trace.tracks}
    kept = [flow for flow in trace.flows if flow.kind == kind]
    return [(names[flow.source], names[flow.target], trace.detail_of(flow)) for flow in kept]

def of(trace, name):
    track = next(one for one in trace.tracks if one.name == name)
    return {"role": track.role, "group": track.group, "daemon": track.daemon, "native": track.native_id,
            "outcome": str(track.outcome), "detail": track.outcome_detail,
            "traceback": way_to(track.traceback)}
"""


@pytest.fixture(scope="module")
def asked(kernel: Kernel) -> Kernel:
    kernel.check(ASKED)
    return kernel


def longest_wait(kernel: Kernel, name: str) -> tuple[str, str, int]:
    """Reason, detail and line of a thread's longest wait."""
    states: Any = kernel.value(f"told(trace)[{name!r}]")
    _, reason, detail, line, _ = max((one for one in states if one[0] == "waiting"), key=lambda one: one[4])
    return reason, detail, line


def findings(kernel: Kernel) -> dict[str, str]:
    return dict(kernel.value("[(one.lint, one.message) for one in trace.findings]"))


# ---- waits ---------------------------------------------------------------------------------------


def server(times: int, answer: bytes) -> str:
    """Eight lines of a cell: `serve` answers late, and so many times."""
    return f"""\
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
def serve():
    for _ in range({times}):
        client, _ = server.accept()
        time.sleep(0.3)  # the length of the wait that is to be told
        client.sendall({answer!r})
        client.close()
"""


SOCKETS = "%%threads -q -o trace\nimport http.client, socket, threading, time\n"
SOCKETS += server(5, b"HTTP/1.0 200 OK\r\n\r\nhello\n")
SOCKETS += """\
def connected(**more): return socket.create_connection(("127.0.0.1", port), **more)
def recv():
    connected().recv(10)
def recv_into():
    connected().recv_into(bytearray(10))
def readline():
    connected().makefile("rb").readline()
def timed():
    connected(timeout=60).recv(10)
def http():
    http_client = __import__("http.client").client.HTTPConnection("127.0.0.1", port)
    http_client.request("GET", "/")
    http_client.getresponse()
each = (serve, recv, recv_into, readline, timed, http)
threads = [threading.Thread(target=one, name=one.__name__) for one in each]
for one in threads: one.start()
for one in threads: one.join()
"""
SOCKET_LINES = {"recv": 13, "recv_into": 15, "readline": 17, "timed": 19, "http": 23}


def test_a_wait_at_a_socket_says_which_and_from_which_line(asked: Kernel) -> None:
    """Also under a buffer's readline, with a timeout (which the C code polls for), and inside http.client."""
    asked.check(SOCKETS)
    address = f"127.0.0.1:{asked.value('port')}"
    for name, line in SOCKET_LINES.items():
        assert longest_wait(asked, name) == ("socket", address, line), name


BY_NAME = "%%timeline -q -o trace\nimport asyncio, socket, threading, time\n" + server(2, b"hello\n")
BY_NAME += """\
def recv():
    socket.create_connection(("localhost", port)).recv(10)
async def read():
    reader, writer = await asyncio.open_connection("localhost", port)
    await reader.readline()
    writer.close()
threads = [threading.Thread(target=one, name=one.__name__) for one in (serve, recv)]
for one in threads: one.start()
threads[1].join()
asyncio.run(read())
threads[0].join()
"""


def test_a_host_that_was_asked_for_by_name_is_told_by_it(asked: Kernel) -> None:
    asked.check("from concmagic.recording import hosts; hosts._names.clear()")  # other cells use the address
    asked.check(BY_NAME)
    address = f"localhost:{asked.value('port')}"
    assert longest_wait(asked, "recv") == ("socket", address, 12)
    waits = asked.value(
        "[(s.length_ns, s.reason, trace.detail_of(s), s.line) for t in trace.tracks "
        "if t.kind == 'task' and t.name == 'read' for s in t.states if s.state.value == 'waiting']"
    )
    assert max(waits)[1:] == ("stream read", address, 15)


WITHOUT_CALLS = """\
%%threads -q -o trace --detail states
import queue, threading, time
from concurrent.futures import ThreadPoolExecutor
lock, ready, items = threading.Lock(), threading.Event(), queue.Queue()
inside = threading.Barrier(5)
def sleeper():
    with lock:
        inside.wait()
        time.sleep(0.5)  # long enough for many looks, and for the machine's own pauses
    ready.set()
    items.put(1)
def entering():
    inside.wait()
    with lock: pass
def acquiring():
    inside.wait()
    if lock.acquire(): lock.release()
def eventual():
    inside.wait()
    ready.wait()
def taking():
    inside.wait()
    items.get()
each = (sleeper, entering, acquiring, eventual, taking)
threads = [threading.Thread(target=one, name=one.__name__) for one in each]
for one in threads: one.start()
threads[0].join()
for one in threads[1:]: one.join()
"""


def test_what_waits_for_locks_is_told_without_calls_too(asked: Kernel) -> None:
    """On 3.11 by looks at the frames of who sleeps."""
    asked.check(WITHOUT_CALLS)
    assert longest_wait(asked, "MainThread") == ("join", "of sleeper", 27)
    assert longest_wait(asked, "entering")[::2] == ("Lock", 14)
    assert longest_wait(asked, "acquiring")[::2] == ("Lock", 17)
    assert longest_wait(asked, "eventual") == ("Event", "ready", 20)
    assert longest_wait(asked, "taking") == ("Queue.get", "items", 23)
    assert ("sleeper", "MainThread", "sleeper") in asked.value("flows(trace, 'join')")


TLS = """\
%%threads -q -o trace
import os, socket, ssl, subprocess, tempfile, threading, time
folder = tempfile.mkdtemp()
made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder + "/key",
                       "-out", folder + "/cert", "-days", "2", "-subj", "/CN=localhost"], capture_output=True)
inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
inside.load_cert_chain(folder + "/cert", folder + "/key")
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
def serve():
    with inside.wrap_socket(server.accept()[0], server_side=True) as client:
        time.sleep(0.3)
        client.sendall(b"hello")
def read():
    outside, there = ssl.create_default_context(cafile=folder + "/cert"), ("127.0.0.1", port)
    with outside.wrap_socket(socket.create_connection(there), server_hostname="localhost") as here:
        here.recv(10)
threads = [threading.Thread(target=each, name=each.__name__) for each in (serve, read)]
for one in threads: one.start()
for one in threads: one.join()
"""


def test_a_wait_in_tls_says_which_socket(asked: Kernel) -> None:
    asked.check(TLS)
    assert longest_wait(asked, "read") == ("socket", f"127.0.0.1:{asked.value('port')}", 17)


WAITS = """\
%%threads -q -o trace
import os, queue, select, socket, subprocess, threading, time
for_lines, pipes = queue.Queue(), os.pipe()
def sleeping():
    time.sleep(0.3)
def of_subprocess():
    subprocess.run(["sleep", "0.3"])
def at_pipe():
    os.read(pipes[0], 1)
def selecting():
    select.select([], [], [], 0.3)
def at_queue():
    for_lines.get()
def at_file():
    with open("fifo", "rb") as file:
        file.read()
def naming():
    socket.getaddrinfo("localhost", 80)
os.mkfifo("fifo")
both = (sleeping, of_subprocess, at_pipe, selecting, at_queue, at_file, naming)
threads = [threading.Thread(target=each, name=each.__name__) for each in both]
for one in threads: one.start()
writer = open("fifo", "wb")
later = threading.Timer(0.3, lambda: (os.write(pipes[1], b"x"), for_lines.put(1), writer.close()))
later.start()
for one in threads: one.join()
"""


def test_waits_say_what_they_are_for_and_their_line(asked: Kernel) -> None:
    asked.check(WAITS)
    expected = {
        "sleeping": ("sleep", "", 5),
        "of_subprocess": ("subprocess", "", 7),
        "at_pipe": ("read", "pipe", 9),
        "selecting": ("select", "", 11),
        "at_queue": ("Queue.get", "for_lines", 13),
        "at_file": ("read", "fifo", 16),
    }
    assert {name: longest_wait(asked, name) for name in expected} == expected
    asked.check("import os; os.remove('fifo')")


def test_a_join_names_its_thread_and_is_woken_by_its_end(asked: Kernel) -> None:
    asked.check(
        "%%threads -q -o trace\nimport threading, time\n"
        "one = threading.Thread(target=time.sleep, args=(0.2,), name='one')\n"
        "other = threading.Thread(target=time.sleep, args=(0.4,), name='other')\n"
        "one.start()\nother.start()\none.join()\nif True:\n    other.join()\n"
    )
    joins = [one for one in asked.value("told(trace)['MainThread']") if one[1] == "join"]
    assert [(detail, line) for _, _, detail, line, _ in joins if detail] == [
        ("of one", joins[0][3]),
        ("of other", joins[-1][3]),
    ]
    assert [pair[:2] for pair in asked.value("flows(trace, 'join')")] == [
        ("one", "MainThread"),
        ("other", "MainThread"),
    ]


# The first two begin together, and each ends when the cell has waited for it for a moment.
POOL = """\
%%threads -q -o trace
import threading, time
from concurrent.futures import ThreadPoolExecutor
both, futures = threading.Barrier(2), {}
def work(n):
    if n < 3: both.wait()
    while n not in futures or not futures[n]._condition._waiters: time.sleep(0.001)
    time.sleep(0.02)
    return n
with ThreadPoolExecutor(2, thread_name_prefix="crew") as pool:
    for n in (1, 2, 3): futures[n] = pool.submit(work, n)
    print([futures[n].result() for n in (1, 2, 3)])
"""


def test_jobs_have_their_queue_time_and_their_results_go_to_who_waited(asked: Kernel) -> None:
    asked.check(POOL)
    assert asked.value("of(trace, 'crew_0')['group']") == "crew"
    waits = [one for one in asked.value("told(trace)['MainThread']") if one[1] == "result"]
    assert [(detail, line) for _, _, detail, line, _ in waits] == [
        ("of work(1)", 12),
        ("of work(2)", 12),
        ("of work(3)", 12),
    ]
    assert [pair[1:] for pair in asked.value("flows(trace, 'result')")] == [
        ("MainThread", f"work({n})") for n in (1, 2, 3)
    ]
    assert [pair[0] for pair in asked.value("flows(trace, 'submit')")] == ["MainThread"] * 3
    submitted, begun, ended = zip(
        *asked.value("[(one.submit_ns, one.start_ns, one.end_ns) for one in trace.jobs]"), strict=True
    )
    assert max(submitted) < min(ended) < begun[2]  # the third waited for the first to end
    assert max(begun[:2]) < min(ended)


# ---- families and ends ---------------------------------------------------------------------------


def test_threads_have_their_names_kinds_and_starters(asked: Kernel) -> None:
    asked.check(
        "%%threads -q -o trace\nimport threading\nids = {}\n"
        "def inner():\n    ids['inner'] = threading.get_native_id()\n"
        "def outer():\n    one = threading.Thread(target=inner, name='inner'); one.start(); one.join()\n"
        "threads = [threading.Thread(target=outer, name='outer', daemon=True), threading.Timer(0, inner)]\n"
        "threads[1].name = 'timer'\n"
        "for one in threads: one.start()\nfor one in threads: one.join()"
    )
    assert asked.value("of(trace, 'outer')['daemon'], of(trace, 'timer')['daemon']") == (True, False)
    assert asked.value("ids['inner'] in (of(trace, 'inner')['native'], of(trace, 'timer')['native'])")
    spawned = {pair[:2] for pair in asked.value("flows(trace, 'spawn')")}
    assert spawned == {("MainThread", "outer"), ("MainThread", "timer"), ("outer", "inner")}


def test_a_pool_of_an_earlier_cell_works_for_this_one(asked: Kernel) -> None:
    asked.check(
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "early = ThreadPoolExecutor(1, thread_name_prefix='early')\nearly.submit(int).result()\n"
        "idle = threading.Event()\n"
        "bystander = threading.Thread(target=idle.wait, name='bystander')\nbystander.start()"
    )
    asked.check("%%threads -q -o trace\nimport time\nearly.submit(time.sleep, 0.05).result()")
    assert asked.value("of(trace, 'early_0')['role'], of(trace, 'early_0')['group']") == ("work", "early")
    assert "bystander" not in asked.value("[one.name for one in trace.tracks]")
    asked.check("idle.set(); early.shutdown()")


def test_a_thread_that_dies_leaves_its_traceback(asked: Kernel) -> None:
    run = asked.check(
        "%%threads -q -o trace\nimport threading\ndef parse(x):\n    return 1 / x\n"
        "def work():\n    parse(0)\none = threading.Thread(target=work, name='w')\none.start()\none.join()"
    )
    assert asked.value("of(trace, 'w')['outcome']") == "raised ZeroDivisionError"
    assert asked.value("of(trace, 'w')['traceback']") == "line 6 in work → line 4 in parse"
    (message,) = [text for lint, text in findings(asked).items() if lint == "exception-in-thread"]
    assert "ZeroDivisionError: division by zero (line 6 in work → line 4 in parse)" in message
    assert "ZeroDivisionError" in run.stderr  # and is told where Python tells it


HELD = """\
%%threads -q -o trace
import ctypes, threading
nap = (ctypes.{library}(None)).usleep
napping = threading.Event()
def holder():
    napping.set()
    nap(600_000)  # so long that the sampler looks often enough, however busy the machine is
def computing():
    napping.wait()
    for _ in range(2_000_000): pass
threads = [threading.Thread(target=each, name=each.__name__) for each in (holder, computing)]
threads[1].start()
threads[0].start()
for one in threads: one.join()
"""


@pytest.mark.sampled
@pytest.mark.parametrize(("library", "found"), [("PyDLL", True), ("CDLL", False)])
def test_a_thread_that_sleeps_with_the_gil_is_found(asked: Kernel, library: str, found: bool) -> None:
    asked.check(HELD.format(library=library))
    assert ("gil-held-while-waiting" in findings(asked)) == found
    if found:
        assert findings(asked)["gil-held-while-waiting"].startswith("holder kept the GIL for ")
        others = asked.value("told(trace)['computing'] + told(trace)['MainThread']")
        held = [one for one in others if one[:2] == ("ready", "GIL")]
        assert "held by holder" in {one[2] for one in held}


def test_a_busy_queue_is_not_taken_for_native_threads(asked: Kernel) -> None:
    """Nor printing a lot: the kernel's own native threads carry what is printed."""
    asked.check(
        "%%threads -q -o trace\nimport queue, threading\nlines = queue.Queue(10)\n"
        "def produce():\n    for n in range(5000): lines.put(n)\n    lines.put(None)\n"
        "def consume():\n    while (n := lines.get()) is not None: print(n)\n"
        "threads = [threading.Thread(target=each) for each in (produce, consume)]\n"
        "for one in threads: one.start()\nfor one in threads: one.join()"
    )
    assert asked.value("trace.metrics.native_threads") < 0.1


NATIVE = """\
%%threads -q -o trace
import ctypes, ctypes.util, os, threading, time
beside = os.path.join(os.getcwd(), "beside.so")
spin = ctypes.CDLL(beside).spin
spin(300)
"""


def test_threads_that_python_does_not_know_are_told_apart(asked: Kernel) -> None:
    """A library's own thread computes while the one Python thread does: CPU that no track explains."""
    asked.check(
        "import subprocess, textwrap\nopen('beside.c', 'w').write(textwrap.dedent('''"
        "#include <pthread.h>\n#include <time.h>\n"
        "static double now(void) { struct timespec t; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); "
        "return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }\n"
        "static void *burn(void *ms) { double end = now() + *(int *)ms; while (now() < end); return 0; }\n"
        "void spin(int ms) { pthread_t other; pthread_create(&other, 0, burn, &ms); burn(&ms); "
        "pthread_join(other, 0); }\n'''))\n"
        "subprocess.run(['cc', '-shared', '-fPIC', '-o', 'beside.so', 'beside.c', '-lpthread'], check=True)"
    )
    asked.check(NATIVE)
    wall = asked.value("trace.wall_s")
    assert asked.value("trace.metrics.native_threads") == pytest.approx(0.3 / wall, rel=0.05)


# ---- prints --------------------------------------------------------------------------------------

PRINTS = """\
%%threads -o trace
import threading
turn = [threading.Event() for _ in range(7)]
def say(number):
    for step in range(number, 6, 2):
        turn[step].wait()
        print("thread", number, step) if step < 4 else display(step)
        turn[step + 1].set()
threads = [threading.Thread(target=say, args=(number,), name=f"say-{number}") for number in range(2)]
for one in threads: one.start()
turn[0].set()
for one in threads: one.join()
"""


def test_prints_of_threads_are_in_order_and_ticks_on_their_lanes(asked: Kernel) -> None:
    run = asked.check(PRINTS)
    assert run.stdout == "".join(f"thread {step % 2} {step}\n" for step in range(4))
    assert [shown["text/plain"] for shown in run.displays[:2]] == ["4", "5"]
    names = "{one.id: one.name for one in trace.tracks}"
    printed = asked.value(f"[{names}[one.track] for one in trace.prints]")  # text and end may be two
    assert [name for name, _ in itertools.groupby(printed)] == ["say-0", "say-1"] * 3
    assert asked.value("trace.prints[0].at_ns < trace.prints[-1].at_ns < trace.wall_ns")
    text, html = run.displays[-1]["text/plain"], run.displays[-1]["text/html"]
    assert "╹ printed" in text and any("say-0" in row and "╹" in row for row in text.splitlines())
    assert '"prints":[[' in unpacked(html)


def test_prints_after_the_cell_are_not_ours_and_nothing_is_left(asked: Kernel) -> None:
    asked.check("import sys\nbefore = vars(type(sys.stdout))['write']")
    asked.check(
        "%%threads -q -o trace\nimport threading\nlate = threading.Event()\n"
        "def later():\n    late.wait(); print('late')\n"
        "thread = threading.Thread(target=later)\nthread.start()"
    )
    assert asked.value("vars(type(sys.stdout))['write'] is before")
    assert "left-running" in findings(asked)
    asked.check("late.set(); thread.join()")
    assert asked.value("len(trace.prints)") == 0


LATE = (
    "import threading\nlate = threading.Event()\n"
    "def later():\n    late.wait(); print('late')\nthread = threading.Thread(target=later)\nthread.start()"
)


def test_what_a_thread_prints_after_its_cell_goes_where_a_plain_cells_would(asked: Kernel) -> None:
    seen = []
    for first in (LATE, f"%%threads -q\n{LATE}"):
        asked.check(first)
        seen.append(asked.check("late.set(); thread.join(); print('later')").stdout)
    assert seen[0] == seen[1]


def test_switches_are_the_kernels_own_counts(asked: Kernel) -> None:
    """Read by the thread itself at its end: giving up a core by itself, and losing it."""
    asked.check(
        "%%threads -q -o trace\nimport resource, threading, time\ncounts = {}\n"
        "def note():\n    used = resource.getrusage(resource.RUSAGE_THREAD)\n"
        "    counts[threading.current_thread().name] = (used.ru_nvcsw, used.ru_nivcsw)\n"
        "def naps():\n    for _ in range(20): time.sleep(0.001)\n    note()\n"
        "def computes():\n    while time.thread_time() < 0.1: pass\n    note()\n"
        "threads = [threading.Thread(target=each, name=each.__name__) for each in (naps, computes)]\n"
        "for one in threads: one.start()\nfor one in threads: one.join()"
    )
    told = asked.value("{one.name: one.switches for one in trace.tracks if one.name in counts}")
    for name, (gave_up, lost) in asked.value("counts").items():
        assert gave_up <= told[name][0] <= gave_up + 20  # its own end is some more
        assert lost <= told[name][1] <= lost + 20
    assert told["naps"][0] >= 20
    assert asked.value("trace.metrics.preemptive_switches") >= sum(lost for _, lost in told.values())


def test_a_task_has_the_ticks_of_what_it_printed(asked: Kernel) -> None:
    asked.check(
        "%%asyncio_trace -q -o trace\nimport asyncio\nasync def say():\n    print('task')\n"
        "    await asyncio.sleep(0)\nawait asyncio.create_task(say(), name='sayer')"
    )
    assert asked.value("[one.name for one in trace.tracks if one.id == trace.prints[0].track]") == ["sayer"]


# ---- large cells ---------------------------------------------------------------------------------


def test_two_hundred_threads(asked: Kernel) -> None:
    run = asked.check(
        "%%threads -o trace\nimport threading, time\nbarrier = threading.Barrier(200)\n"
        "def work():\n    barrier.wait()\n    time.sleep(0.05)\n"
        "threads = [threading.Thread(target=work) for _ in range(200)]\n"
        "for one in threads: one.start()\nfor one in threads: one.join()"
    )
    workers = asked.value(
        "[str(one.outcome) for one in trace.tracks if one.kind == 'thread' and not one.host]"
    )
    assert workers == ["returned"] * 200
    assert asked.value("trace.metrics.unit_peak") == 200
    assert "+ 198 more threa" in run.displays[-1]["text/plain"], run.displays[-1]["text/plain"]
    assert len(run.displays[-1]["text/html"]) < 400_000


def test_ten_thousand_jobs(asked: Kernel) -> None:
    run = asked.check(
        "%%threads -o trace\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    total = sum(pool.map(abs, range(10_000)))\ntotal"
    )
    assert run.result_text == str(sum(range(10_000)))
    jobs = asked.value("sum(one.count for one in trace.jobs), {str(one.outcome) for one in trace.jobs}")
    assert jobs == (10_000, {"returned"})  # most of them merged: one by one they would cost too much
    assert len(run.displays[-1]["text/html"]) < 400_000


def test_an_interrupt_of_a_pool_names_what_was_left_running(asked: Kernel) -> None:
    asked.check(ENDED)
    run = asked.interrupted(
        "%%threads -q -o trace\nimport threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "def say(what):\n    print(f'{what}\\n', end='', flush=True)\n"
        "def items():\n    yield from range(8)\n    say('all handed in')\n"
        "def sleep_5s(n):\n    say(f'began {n}')\n    time.sleep(5)\n"
        "with ThreadPoolExecutor(4, thread_name_prefix='nap') as p: list(p.map(sleep_5s, items()))",
        *(f"began {number}" for number in range(4)),
        "all handed in",
    )
    assert run.ename == "KeyboardInterrupt"
    assert asked.value("ended") - run.interrupted_at < 1  # not the 9 s that its jobs would take
    outcomes = asked.value("sorted(str(one.outcome) for one in __import__('concmagic').last().jobs)")
    assert outcomes == ["cancelled"] * 4 + ["left running"] * 4
    found = dict(asked.value("[(one.lint, one.message) for one in __import__('concmagic').last().findings]"))
    assert found["left-running"] == "nap_0, nap_1 and 2 more are still running after the cell."
    assert asked.check("1 + 1").result_text == "2"


def test_a_flush_of_what_was_printed_is_writing(asked: Kernel) -> None:
    asked.check(
        "%%threads -q -o trace\nimport sys, threading\n"
        "busy = threading.Thread(target=lambda: [sum(range(1000)) for _ in range(20000)])\nbusy.start()\n"
        "for _ in range(20):\n    print('x')\n    sys.stdout.flush()\nbusy.join()"
    )
    reasons = {one[1] for one in asked.value("told(trace)['MainThread']") if one[0] == "waiting"}
    assert "Event" not in reasons and "write" in reasons, reasons
