"""Every name that we borrow: private ones that are read, and functions that something of ours stands in for.

Of Python and of the libraries that run in a notebook. Each may be missing or be something else in another
version, or be replaced by the user: `borrowing.py` reads them, and what is lost then is told with the words
of this table. A name of another library that begins with an underscore, or a function whose code is read, may
be used in this package only if it stands here (`tests/unit/test_borrowed.py`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Part = Literal[
    "tasks", "threads", "locks", "calls", "children", "messages", "jobs", "prints", "hosts", "notebook"
]
Version = tuple[int, int]
FIRST, LAST = (3, 11), (3, 99)


class Borrowed(NamedTuple):
    """One name. `owner` is a module or class; of what its instances have in themselves `inside` is true."""

    owner: str
    name: str
    part: Part  # of the evidence
    serves: str  # what may be missing without it; "" if nothing is
    at_import: bool = False  # read as one of our modules is imported
    inside: bool = False  # not on the class: no one can take it away from outside
    since: Version = FIRST
    until: Version = LAST  # the first Python without it


_HANDLE, _TIMER = "asyncio.events.Handle", "asyncio.events.TimerHandle"
_LOOP = "asyncio.base_events.BaseEventLoop"
_POPEN = "multiprocessing.popen_fork.Popen"
_MP, _POOL = "multiprocessing.pool", "multiprocessing.pool.Pool"
_SEM_LOCK = "multiprocessing.synchronize.SemLock"
_PICKLER = "multiprocessing.reduction.ForkingPickler"
_THREAD = "threading.Thread"
_ENGINE = "cloudpickle.cloudpickle"
_SHELL = "IPython.core.interactiveshell.InteractiveShell"

_STEPS = "steps of asyncio's tasks"
_WAKES = "who woke a task, and why it had waited"
_FUTURES = "where futures were made"
_DROPPED = "jobs that an interrupt drops"
_SPEED = ""  # only the short way is lost
_TRANSPORT = "asyncio.base_subprocess.BaseSubprocessTransport"
_WHO_ENDED = "who ended a command"
_CELLS_RUN = "the notebook's own loop, run by the cell"
_ENDS = "when a child process started or ended"
_POOLS = "why a pool's workers do not start"
_BY_VALUE = "functions of the notebook in processes that are spawned"
_SENT = "messages between processes"
_LET_GO = "who let go a lock that another process waited for"
_AGAIN = "interrupts that were lost"
_WORK, _JOBS = "concurrent.futures.process", "jobs of process pools"
_THREAD_POOL = "concurrent.futures.thread.ThreadPoolExecutor"
_PROCESS_POOL = "concurrent.futures.process.ProcessPoolExecutor"

TABLE: tuple[Borrowed, ...] = (
    # What asyncio's loops do
    Borrowed(_HANDLE, "_run", "tasks", _STEPS, at_import=True),
    *(Borrowed(kind, "__slots__", "tasks", _SPEED, at_import=True) for kind in (_HANDLE, _TIMER)),
    Borrowed(_TIMER, "__lt__", "tasks", _SPEED),
    Borrowed(_LOOP, "call_soon", "tasks", _WAKES),
    Borrowed(_LOOP, "call_later", "tasks", "how long a sleep was to be"),
    *(Borrowed(_LOOP, name, "tasks", _SPEED) for name in ("call_at", "time")),
    Borrowed(_LOOP, "call_soon_threadsafe", "tasks", "which thread woke a task"),
    Borrowed(_LOOP, "stop", "tasks", "what came after a loop was stopped"),
    Borrowed(_LOOP, "create_task", "tasks", "which task made which", at_import=True),
    *(Borrowed(_LOOP, name, "tasks", _FUTURES) for name in ("create_future", "get_debug")),
    Borrowed(_LOOP, "call_exception_handler", "tasks", "exceptions that nobody asked for"),
    *(
        Borrowed(_LOOP, name, "tasks", "loops of the cell's own")
        for name in ("run_forever", "_check_running")
    ),
    Borrowed(_LOOP, "run_until_complete", "tasks", _CELLS_RUN),
    Borrowed("asyncio.locks.Lock", "acquire", "tasks", "which task had a lock"),
    Borrowed("asyncio.tasks", "sleep", "tasks", _SPEED, at_import=True),
    Borrowed("asyncio.tasks", "events", "tasks", "`gather` outside of a loop", since=(3, 14)),
    Borrowed("asyncio.runners", "events", "tasks", "`asyncio.run` in the cell"),
    Borrowed("asyncio.tasks", "_register_task", "notebook", "the notebook's own task in `all_tasks`"),
    Borrowed("asyncio.tasks", "_unregister_task", "notebook", "the notebook's own task in `all_tasks`"),
    Borrowed("asyncio.tasks", "_enter_task", "notebook", "loops of the cell's own"),
    Borrowed("asyncio.tasks", "_leave_task", "notebook", "loops of the cell's own"),
    Borrowed("asyncio.events", "_get_running_loop", "tasks", "which loop runs"),
    Borrowed("asyncio.events", "_set_running_loop", "notebook", "loops of the cell's own"),
    Borrowed("asyncio.futures", "_set_result_unless_cancelled", "tasks", _SPEED, at_import=True),
    Borrowed("asyncio.coroutines", "_is_coroutine", "tasks", _SPEED, until=(3, 12)),
    Borrowed("warnings", "_warn_unawaited_coroutine", "tasks", "coroutines that were never awaited"),
    # … and what its objects have in themselves
    *(
        Borrowed(_HANDLE, name, "tasks", _STEPS, inside=True)
        for name in (
            *("_callback", "_args", "_loop", "_context"),
            *("_cancelled", "_repr", "_source_traceback"),
        )
    ),
    *(Borrowed(_TIMER, name, "tasks", _STEPS, inside=True) for name in ("_when", "_scheduled")),
    *(
        Borrowed(_LOOP, name, "notebook", _CELLS_RUN, inside=True)
        for name in (
            *("_run_once", "_stopping", "_signal_handlers"),
            *("_executor_shutdown_called", "_asyncgens_shutdown_called"),
        )
    ),
    Borrowed(_THREAD_POOL, "_shutdown", "notebook", _CELLS_RUN, inside=True),
    *(
        Borrowed(_LOOP, name, "tasks", _WAKES, inside=True)
        for name in (
            *("_ready", "_scheduled", "_debug", "_closed", "_thread_id"),
            *("_selector", "_write_to_self", "_task_factory"),
        )
    ),
    *(
        Borrowed("asyncio.futures.Future", name, "tasks", _WAKES, inside=True)
        for name in (
            *("_state", "_exception", "_callbacks", "_log_traceback", "_source_traceback"),
            *("_loop", "_children"),
        )
    ),
    *(
        Borrowed("asyncio.tasks.Task", name, "tasks", _WAKES, inside=True)
        for name in ("_coro", "_fut_waiter", "_must_cancel", "__step", "__wakeup")
    ),
    *(Borrowed("asyncio.locks.Lock", name, "tasks", _WAKES, inside=True) for name in ("_locked", "_waiters")),
    Borrowed("asyncio.taskgroups.TaskGroup", "_parent_task", "tasks", "whose TaskGroup it was", inside=True),
    Borrowed("httpcore.AsyncConnectionPool", "_max_connections", "tasks", "the size of a pool", inside=True),
    Borrowed("asyncio.streams.StreamReader", "_transport", "tasks", "what a stream waits for", inside=True),
    Borrowed(_LOOP, "_check_callback", "tasks", _SPEED, inside=True),
    *(
        Borrowed("uvloop.Loop", name, "tasks", "tasks on uvloop's loops")
        for name in ("call_soon", "call_soon_threadsafe", "call_later", "create_task", "run_forever")
    ),
    Borrowed("uvloop", "__asyncio", "notebook", "`uvloop.run` in the cell", until=(3, 12)),
    # Threads and their locks
    Borrowed(_THREAD, "_bootstrap", "threads", "threads that the cell started"),
    Borrowed(_THREAD, "_delete", "threads", "when a thread ended"),
    Borrowed(_THREAD, "join", "locks", "who waited for a thread's end", at_import=True),
    *(
        Borrowed(_THREAD, name, "threads", "what a thread ran, and what it died of", inside=True)
        for name in ("_target", "_args", "_invoke_excepthook")
    ),
    Borrowed("threading", "_active", "threads", "which threads are the kernel's", at_import=True),
    Borrowed("threading", "_DummyThread", "threads", "names of threads that Python did not start"),
    Borrowed("threading", "_CRLock", "locks", "where locks were made"),
    *(Borrowed("threading.Semaphore", one, "locks", "who had a semaphore") for one in ("acquire", "release")),
    Borrowed("threading.BoundedSemaphore", "release", "locks", "who had a semaphore"),
    *(
        Borrowed(f"threading.{kind}", "__init__", "locks", "where locks were made", until=(3, 12))
        for kind in ("Barrier", "Condition", "Event", "Semaphore", "BoundedSemaphore")
    ),
    Borrowed("queue.Queue", "__init__", "locks", "where queues were made", until=(3, 12)),
    Borrowed("threading.Condition", "notify", "locks", "who woke whom", until=(3, 12)),
    Borrowed("threading.Condition", "_waiters", "locks", "who woke whom", until=(3, 12), inside=True),
    Borrowed("threading.Condition", "_is_owned", "locks", "who has a lock", inside=True),
    Borrowed("threading.RLock", "__code__", "locks", _SPEED, inside=True),
    Borrowed("_thread", "start_new_thread", "threads", "threads started below `threading`"),
    Borrowed("_thread", "_ThreadHandle", "locks", "who waited for a thread's end", since=(3, 13)),
    Borrowed("_thread", "_local", "locks", "which thread has a lock", inside=True),
    Borrowed("concurrent.futures.thread", "_WorkItem", "jobs", "jobs of thread pools"),
    Borrowed("concurrent.futures.thread._WorkItem", "__init__", "jobs", "jobs of thread pools"),
    Borrowed("concurrent.futures.thread._WorkItem", "run", "jobs", "jobs of thread pools"),
    # Read as an interrupt comes.
    Borrowed("concurrent.futures.thread", "_threads_queues", "notebook", _DROPPED, inside=True),
    Borrowed("concurrent.futures.process", "_threads_wakeups", "notebook", _DROPPED, inside=True),
    Borrowed("sys", "_current_frames", "locks", "where other threads stand"),
    # What an interrupt has led to
    Borrowed("sys", "_current_exceptions", "notebook", _AGAIN),
    Borrowed("dis", "_parse_exception_table", "notebook", _AGAIN),
    Borrowed(
        "asyncio.runners.Runner", "_on_sigint", "notebook", "an interrupt of `asyncio.run` as in a script"
    ),
    Borrowed(_THREAD_POOL, "_work_queue", "notebook", _DROPPED, inside=True),
    Borrowed(_PROCESS_POOL, "_executor_manager_thread", "notebook", _DROPPED, inside=True),
    Borrowed(_LOOP, "_default_executor", "notebook", _DROPPED, inside=True),
    Borrowed("asyncio.runners.Runner", "_loop", "notebook", _AGAIN, inside=True),
    Borrowed("asyncio.runners.Runner", "_interrupt_count", "notebook", _AGAIN, inside=True),
    Borrowed("sys", "_getframe", "calls", _SPEED, at_import=True),
    Borrowed("sys", "_getframemodulename", "tasks", _SPEED, since=(3, 12)),
    Borrowed("sys", "_is_gil_enabled", "calls", _SPEED, since=(3, 13)),
    # Calls: VizTracer, and the interpreter's own C functions
    Borrowed("warnings", "_showwarnmsg", "calls", "that VizTracer gave up"),
    Borrowed("viztracer.snaptrace", "Tracer", "calls", "calls", inside=True),
    Borrowed("ctypes.pythonapi", "_PyEval_SetProfile", "calls", "calls", inside=True, until=(3, 12)),
    Borrowed(
        "ctypes.pythonapi", "_PyInterpreterState_LookUpID", "calls", "calls", inside=True, until=(3, 12)
    ),
    Borrowed("ctypes.pythonapi", "_PyRuntime", "locks", "who has the GIL", inside=True),
    Borrowed("importlib.machinery.ModuleSpec", "_initializing", "calls", _SPEED, inside=True),
    # Processes
    *(Borrowed(_POPEN, name, "children", _ENDS) for name in ("__init__", "poll")),
    Borrowed(_POPEN, "wait", "children", "who waited for a child process"),
    Borrowed(_POPEN, "_send_signal", "children", "who ended a child process"),
    Borrowed("multiprocessing.popen_forkserver.Popen", "poll", "children", _ENDS),
    Borrowed("multiprocessing.util", "spawnv_passfds", "children", _ENDS),
    Borrowed("multiprocessing.util", "info", "children", "when a child's own code began"),
    Borrowed("multiprocessing.spawn", "get_preparation_data", "children", "what spawned processes did"),
    Borrowed("multiprocessing.reduction", "dump", "children", "what was sent to start a child"),
    Borrowed("multiprocessing.process.BaseProcess", "start", "children", "children that nobody reaps"),
    Borrowed("multiprocessing.process.BaseProcess", "_bootstrap", "children", "what child processes did"),
    Borrowed("multiprocessing.process", "_children", "children", "processes that were there before the cell"),
    *(
        Borrowed(
            "multiprocessing.process.BaseProcess", name, "children", "names of child processes", inside=True
        )
        for name in ("_name", "_target", "_args", "_kwargs")
    ),
    *(Borrowed("os", name, "children", f"processes started by `os.{name}`") for name in ("fork", "forkpty")),
    Borrowed("os", "_exit", "children", "what child processes did that left by `os._exit`"),
    *(Borrowed("os", name, "children", "what a child process became") for name in ("execv", "execve")),
    Borrowed("os", "posix_spawn", "children", "commands"),
    Borrowed("subprocess", "_fork_exec", "children", "commands"),
    Borrowed("subprocess.Popen", "_handle_exitstatus", "children", "when a command ended"),
    Borrowed("subprocess.Popen", "_execute_child", "children", "which commands could not be started"),
    Borrowed("subprocess.Popen", "send_signal", "children", _WHO_ENDED),
    Borrowed(_TRANSPORT, "_process_exited", "children", "when a command of asyncio's ended"),
    Borrowed(_TRANSPORT, "send_signal", "children", _WHO_ENDED),
    Borrowed("asyncio.base_subprocess", "BaseSubprocessTransport", "children", "when a command ended"),
    Borrowed("loky.backend.popen_loky_posix.Popen", "terminate", "children", "who ended a process of loky's"),
    Borrowed("traceback", "print_exc", "children", "why a child did not start"),
    Borrowed("importlib._bootstrap", "_find_and_load", "children", "what children imported", inside=True),
    # Pools
    *(Borrowed(_POOL, f"_repopulate_pool{kind}", "children", _POOLS) for kind in ("", "_static")),
    Borrowed(_POOL, "_help_stuff_finish", "children", ""),
    *(
        Borrowed(_POOL, name, "children", _POOLS, inside=True)
        for name in (
            *("_pool", "_cache", "_worker_handler", "_check_running", "_inqueue", "_outqueue"),
            *("_state", "_handle_tasks", "_handle_results", "_handle_workers", "_result_handler"),
        )
    ),
    *(
        Borrowed("multiprocessing.pool.ApplyResult", name, "messages", _SENT, inside=True)
        for name in ("_job", "_cache", "_cond", "_index", "_length", "_number_left")
    ),
    *(
        Borrowed(f"multiprocessing.pool.{kind}", "_set", "jobs", "what a job of a ThreadPool raised")
        for kind in ("ApplyResult", "MapResult", "IMapIterator", "IMapUnorderedIterator")
    ),
    Borrowed("multiprocessing.pool.ThreadPool", "_guarded_task_generation", "jobs", "jobs of thread pools"),
    Borrowed("multiprocessing.pool.ThreadPool", "apply_async", "jobs", "jobs of thread pools"),
    Borrowed("multiprocessing.pool", "worker", "children", _POOLS),
    *(Borrowed(f"{_MP}.{name}", "__init__", "messages", _JOBS) for name in ("ApplyResult", "IMapIterator")),
    *(Borrowed(_WORK, name, "messages", _JOBS) for name in ("_WorkItem", "_CallItem")),
    *(Borrowed(f"{_WORK}.{name}", "__init__", "messages", _JOBS) for name in ("_WorkItem", "_CallItem")),
    Borrowed("concurrent.futures.process", "_ExecutorManagerThread", "children", _POOLS),
    Borrowed("concurrent.futures.process._ExecutorManagerThread", "terminate_broken", "children", _POOLS),
    Borrowed("socketserver.BaseServer", "finish_request", "threads", "what servers did in their threads"),
    Borrowed("logging.handlers.QueueListener", "handle", "threads", "what listeners did in their threads"),
    # Messages, and what is sent by them
    Borrowed("multiprocessing.connection.Connection", "_send_bytes", "messages", _SENT),
    Borrowed("multiprocessing.connection.Connection", "_recv_bytes", "messages", _SENT),
    Borrowed("multiprocessing.managers.BaseProxy", "_callmethod", "messages", "requests to managers"),
    Borrowed("multiprocessing.connection", "Pipe", "messages", "which pipe a message went through"),
    *(Borrowed(_PICKLER, name, "messages", "which job a message was") for name in ("dumps", "loads")),
    Borrowed(_PICKLER, "_extra_reducers", "children", _BY_VALUE),
    Borrowed(_PICKLER, "reducer_override", "children", _BY_VALUE, inside=True),
    *(
        Borrowed("multiprocessing.queues.SimpleQueue", name, "children", _POOLS, inside=True)
        for name in ("_rlock", "_wlock")
    ),
    *(
        Borrowed(_ENGINE, name, "children", _BY_VALUE)
        for name in (
            *("_code_reduce", "_class_setstate", "_function_setstate", "_extract_code_globals"),
            *("_DYNAMIC_CLASS_TRACKER_BY_ID", "_empty_cell_value", "_get_cell_contents"),
        )
    ),
    Borrowed(f"{_ENGINE}.Pickler", "_dispatch_table", "children", _BY_VALUE, inside=True),
    # Locks that processes share
    *(Borrowed(_SEM_LOCK, name, "locks", _LET_GO) for name in ("__enter__", "__exit__", "_make_methods")),
    Borrowed("multiprocessing.util", "_afterfork_registry", "locks", _LET_GO),
    # Names that outlive a process
    Borrowed("multiprocessing.shared_memory.SharedMemory", "__init__", "children", "names of shared memory"),
    Borrowed(_SEM_LOCK, "__init__", "children", "names of semaphores"),
    Borrowed("multiprocessing.shared_memory.SharedMemory", "_name", "children", _ENDS, inside=True),
    Borrowed("multiprocessing.shared_memory.SharedMemory", "_track", "children", _ENDS, inside=True),
    Borrowed(_SEM_LOCK, "_semlock", "children", _ENDS, inside=True),
    Borrowed("multiprocessing.resource_tracker", "_CLEANUP_FUNCS", "children", "names of shared memory"),
    Borrowed("multiprocessing.resource_tracker", "_resource_tracker", "children", "names of shared memory"),
    Borrowed("multiprocessing.resource_tracker.ResourceTracker", "_fd", "children", _ENDS, inside=True),
    Borrowed("multiprocessing.resource_tracker.ResourceTracker", "_lock", "children", "", inside=True),
    # The rest
    Borrowed("_socket", "getaddrinfo", "hosts", "names of hosts"),
    Borrowed("ipykernel.iostream.OutStream", "write", "prints", "when threads printed"),
    Borrowed("ipykernel.zmqshell.ZMQDisplayPublisher", "publish", "prints", "when threads displayed"),
    *(Borrowed(_SHELL, name, "notebook", "whether a cell can await") for name in ("run_code", "_run_cell")),
    Borrowed(_SHELL, "run_cell_magic", "notebook", "whether a cell can await"),
    Borrowed("IPython.core.compilerop.CachingCompiler", "_filename_map", "notebook", _SPEED, inside=True),
    Borrowed("BaseException", "_render_traceback_", "notebook", _SPEED, inside=True),
)


def row_of(owner: str, name: str) -> Borrowed | None:
    """The row of a name; of a class that has it from another, that one's."""
    same = [row for row in TABLE if row.name == name]
    exact = next((row for row in same if row.owner == owner), None)
    return exact or (same[0] if same else None)
