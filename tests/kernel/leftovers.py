"""What a cell can leave behind in a kernel, as a program that a kernel runs and is then asked with.

`state()` answers everything that a cell of ours might have touched, as plain values that can be compared;
`changed(before, after)` what differs. What may end by itself, early or late, is a Counter: of that nothing
may be added.
"""

from __future__ import annotations

STATE = '''
import asyncio, asyncio.runners, builtins, collections
import concurrent.futures as cf, concurrent.futures.process, concurrent.futures.thread
import gc
import multiprocessing as mp, multiprocessing.pool, multiprocessing.spawn, multiprocessing.reduction
import multiprocessing.process, multiprocessing.popen_fork, multiprocessing.util, os, queue, signal
import socket, subprocess, sys, tempfile, threading, time, warnings

WATCHED = [
    asyncio, asyncio.base_events, asyncio.base_events.BaseEventLoop, asyncio.events, asyncio.events.Handle,
    asyncio.selector_events.BaseSelectorEventLoop, asyncio.unix_events._UnixSelectorEventLoop,
    asyncio.locks.Lock, asyncio.locks.Condition, asyncio.locks.Semaphore, asyncio.queues.Queue,
    asyncio.runners, asyncio.tasks, asyncio.TaskGroup, builtins, cf, cf.thread, cf.process,
    cf.thread.ThreadPoolExecutor, cf.process.ProcessPoolExecutor, cf.thread._WorkItem, cf.Future,
    mp, mp.context, mp.process, mp.process.BaseProcess, mp.popen_fork.Popen, mp.pool, mp.pool.Pool,
    mp.reduction, mp.reduction.ForkingPickler,
    mp.spawn, mp.util, os, queue, queue.Queue, signal, socket.socket, subprocess,
    subprocess.Popen, threading, threading.Thread, threading.Condition, threading.Event, time,
]

COUNTERS = {"_counter", "_task_name_counter", "_process_counter", "_dangling", "_active", "_limbo", "_count",
            "input", "exit", "quit"}

def attributes(thing):
    return {k: id(v) for k, v in vars(thing).items() if not k.startswith("__") and k not in COUNTERS
            and (callable(v) or isinstance(v, (staticmethod, classmethod, property)) or v is None)}

def children():
    task = f"/proc/{os.getpid()}/task"
    found = []
    for t in os.listdir(task):
        try:
            found.append(open(f"{task}/{t}/children").read().split())
        except (FileNotFoundError, ProcessLookupError):  # that thread has ended meanwhile
            pass
    return collections.Counter(pid for pids in found for pid in pids)

def open_files():
    """Pipes and files; the kernel's own sockets and its history, with the folder it lies in, come and go."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        history = "history.sqlite" in target or target.endswith("profile_default")
        if target.startswith(("/", "pipe:")) and not history and "/proc/" not in target:
            found.append(target)
    return collections.Counter(found)

def lasting_threads():
    """All but the one that writes the history: IPython stops it at a fork, and starts it when it needs it."""
    return [t for t in threading.enumerate() if t.name != "IPythonHistorySavingThread"]

def wakeup_fd():
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    return fd

def watched_locks():
    with threading.Lock():
        pass

def tool(number):
    """What is left under this number of sys.monitoring: its name, its events, its callbacks."""
    monitoring = sys.monitoring
    name = monitoring.get_tool(number)
    if name is not None:
        return name
    monitoring.use_tool_id(number, "looking")
    found = [monitoring.get_events(number), monitoring.get_local_events(number, watched_locks.__code__)]
    for name, event in vars(monitoring.events).items():
        if event and not event & (event - 1):
            found.append((name, repr(monitoring.register_callback(number, event, None))))
    monitoring.free_tool_id(number)
    return found

def state():
    gc.collect()
    shell = get_ipython()
    loop = asyncio.get_running_loop()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        policy = getattr(asyncio.get_event_loop_policy(), "_local", None)
    monitoring = getattr(sys, "monitoring", None)
    return {
        "patched": {repr(thing)[:60] + str(i): attributes(thing) for i, thing in enumerate(WATCHED)},
        "signals": {s: repr(signal.getsignal(s)) for s in signal.valid_signals()},
        "wakeup": wakeup_fd(),
        "hooks": {i: repr(h) for i, h in enumerate((
            sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile(),
            sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook,
            sys.get_asyncgen_hooks(), sys.meta_path, sys.path_hooks, sys.stdout, sys.stderr))},
        "monitoring": monitoring and [monitoring.get_tool(i) for i in range(6)],
        "tools for locks": monitoring and [tool(i) for i in (3, 4)],
        "switch": sys.getswitchinterval(),
        "gc": [len(gc.callbacks), gc.isenabled(), gc.get_threshold()],
        "loop": {k: repr(v) for k, v in vars(loop).items() if k in (
            "_task_factory", "_exception_handler", "_debug", "_default_executor", "slow_callback_duration")},
        "loop methods": sorted(k for k in vars(loop) if callable(vars(loop)[k])),
        "policy loop": id(getattr(policy, "_loop", None)),
        "tasks": collections.Counter(each.get_coro().__qualname__ for each in asyncio.all_tasks()),
        "threads": collections.Counter(t.name for t in lasting_threads()),
        "native threads": collections.Counter(
            all=len(os.listdir("/proc/self/task")) - len(threading.enumerate()) + len(lasting_threads())),
        "children": children(),
        "active children": collections.Counter(each.name for each in mp.active_children()),
        "files": collections.Counter(f for f in os.listdir(tempfile.gettempdir())
                                     if not f.startswith(("ipykernel_", "pymp-"))),
        "open files": open_files(),
        "environment": dict(os.environ),
        "custom": (shell.custom_exceptions, repr(shell.CustomTB)),
        "events": {k: [repr(f) for f in v] for k, v in shell.events.callbacks.items()},
        "transformers": [type(t).__name__ for t in shell.input_transformers_post],
        "shell": sorted(vars(shell)),
        "cwd": os.getcwd(), "path": list(sys.path),
    }

def changed(before, after):
    """Only what differs, however deep it lies; of what is counted, what is there more often."""
    if isinstance(before, collections.Counter):
        return dict(after - before)
    if isinstance(before, dict) and isinstance(after, dict):
        found = {k: changed(before.get(k), after.get(k)) for k in {**before, **after}}
        return {k: v for k, v in found.items() if v != {}}
    return {} if before == after else f"{before} -> {after}"
'''
