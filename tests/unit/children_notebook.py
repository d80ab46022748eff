"""A process that is to children what a notebook's kernel is: functions of `__main__` made by exec.

It runs cells with a ChildRecorder around each, and answers with what was recorded and with
whatever of ours it could still find afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_HARNESS = r"""
import dataclasses, json, linecache, os, sys, tempfile, time, types

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy, which reads the calls afterwards, would start others

main = sys.modules["__main__"] = types.ModuleType("__main__")
import multiprocessing.pool, multiprocessing.popen_forkserver, multiprocessing.popen_spawn_posix
import concurrent.futures.process, subprocess
from multiprocessing import process, reduction, spawn, util
from concmagic.options import Options
from concmagic.recording.children import children_recorder as children
from concmagic.recording.children.children_recorder import ChildRecorder

children.GRACE_S = 20  # a busy machine must not change what is told

WATCHED = [
    (multiprocessing.popen_fork.Popen, "__init__"), (multiprocessing.popen_fork.Popen, "poll"),
    (multiprocessing.popen_fork.Popen, "_send_signal"), (multiprocessing.popen_forkserver.Popen, "poll"),
    (spawn, "get_preparation_data"), (util, "spawnv_passfds"), (util, "info"), (os, "fork"), (os, "_exit"),
    (subprocess, "_fork_exec"), (subprocess.Popen, "_handle_exitstatus"),
    (multiprocessing.pool.Pool, "_repopulate_pool"), (multiprocessing.pool.Pool, "_repopulate_pool_static"),
    (concurrent.futures.process._ExecutorManagerThread, "terminate_broken"),
    (process.BaseProcess, "_bootstrap"), (reduction.ForkingPickler, "reducer_override"),
]

def hooks():
    return [vars(owner).get(name) for owner, name in WATCHED]

def own_folders():
    mine = f"concmagic-children-{os.getpid()}-"
    return [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(mine)]

def threads():
    # A thread that has run its last line is in the system's count for a moment longer.
    limit = time.monotonic() + 5
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < limit:
        time.sleep(0.01)
    return len(os.listdir("/proc/self/task"))

def files():
    return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{fd}"))

def called(record):
    # By function: how often it was called and had ended, and how often it had not.
    from concmagic.importing.decode_calls import decode
    told = {}
    calls = decode(record.calls, keep_own=True)
    for function, is_open in zip(calls.function.tolist(), calls.open.tolist()):
        name = calls.functions[function].name.rpartition(".")[2]
        told.setdefault(name, [0, 0])[is_open] += 1
    return told

def plain(record):
    names = [field.name for field in dataclasses.fields(record)]  # those of its bases too
    facts = {name: getattr(record, name) for name in names}
    facts["threads"] = [thread.name for thread in record.threads]
    facts["functions"] = sorted({code.name for code in record.calls.codes.values()}) if record.calls else []
    facts["called"] = called(record) if record.calls else {}
    facts["problems"] = [problem.message for problem in record.problems]
    facts["marks"] = [mark.label for mark in record.marks]
    facts["tasks"] = [task.coroutine for task in record.tasks.tasks] if record.tasks else []
    for name in ("calls", "jobs"):
        facts.pop(name)
    return facts

def run(number, source):
    name = f"<ipython-input-{number}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    recorder = ChildRecorder(Options("procs", detail=sys.argv[2]), name)
    before = hooks()
    recorder.start()
    error = ""
    try:
        exec(compile(source, name, "exec"), vars(main))
    except BaseException as caught:
        import traceback
        error = "".join(traceback.format_exception(caught))
        if isinstance(caught, KeyboardInterrupt):
            recorder.end_tree()  # as the session does
    records = recorder.stop()
    return {
        "records": [plain(record) for record in records], "error": error,
        "problems": [one.message for one in recorder.problems],
        "answer": vars(main).get("answer"), "hooks_changed": [
            str(where) for where, old, new in zip(WATCHED, before, hooks()) if old is not new],
        "folders": own_folders(), "threads": threads(), "files": files(),
    }

cells = json.loads(sys.argv[1])
for number, source in enumerate(cells, 1):
    print("ANSWER" + json.dumps(run(number, source), default=str), flush=True)
"""


@dataclass(frozen=True)
class Notebook:
    """What each cell answered, and what was printed meanwhile."""

    cells: list[SimpleNamespace]
    stdout: str
    stderr: str

    @property
    def last(self) -> SimpleNamespace:
        return self.cells[-1]

    @property
    def workers(self) -> list[SimpleNamespace]:
        """The last cell's children, helpers apart."""
        return [record for record in self.last.records if record.origin == "user"]


def run_cells(*cells: str, detail: str = "auto", timeout: float = 60, cwd: Path | None = None) -> Notebook:
    """Run these cells one after the other in one new process."""
    command = [sys.executable, "-c", _HARNESS, json.dumps(cells), detail]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, cwd=cwd, env=dict(os.environ)
    )
    answers = [line.removeprefix("ANSWER") for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert len(answers) == len(cells), done.stdout + done.stderr
    rest = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("ANSWER"))
    return Notebook([_space(json.loads(answer)) for answer in answers], rest, done.stderr)


def _space(facts: Any) -> SimpleNamespace:
    records = [SimpleNamespace(**record) for record in facts.pop("records")]
    return SimpleNamespace(records=records, **facts)


def check_whole(record: SimpleNamespace) -> None:
    """What every child must have that ended in a way that can be caught."""
    assert not record.problems, record
    assert record.started_ns < record.begun_ns <= record.target_ns <= record.done_ns <= record.ended_ns
    assert record.threads and record.cpu_ns > 0 and record.starter
