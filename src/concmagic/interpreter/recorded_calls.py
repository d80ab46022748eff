"""Calls as a recording names them: functions of Python and of libraries by name, system calls by number.

What a wait in one of them means, which let a lock go, which import: tables, one row per case. They are read
after the cell, of what was recorded; the names also by a child that names its C functions.
"""

from __future__ import annotations

# C functions that wait, by their dotted name as the tracer gives it → the reason of the wait.
BLOCKING_CALLS = {
    "time.sleep": "sleep",
    "_thread.lock.acquire": "Lock",
    "_thread.lock.acquire_lock": "Lock",
    "_thread.lock.__enter__": "Lock",  # from 3.14; before, a wait in `with lock:` is not in the trace
    "_thread.RLock.acquire": "RLock",
    "_thread.RLock.__enter__": "RLock",
    "_thread._ThreadHandle.join": "join",  # from 3.13; before, Thread.join acquires a lock
    "_queue.SimpleQueue.get": "Queue.get",
    "_multiprocessing.SemLock.acquire": "process lock",
    "_multiprocessing.SemLock.__enter__": "process lock",
    "socket.accept": "socket",
    "_socket.getaddrinfo": "DNS",
    "_socket.gethostbyname": "DNS",
    "_socket.gethostbyaddr": "DNS",
    "_socket.getnameinfo": "DNS",
    "_io.FileIO.readinto": "read",
    "_io.FileIO.readall": "read",
    "_io.FileIO.write": "write",
    "_posixsubprocess.fork_exec": "process start",
    "posix.posix_spawn": "process start",
    "posix.posix_spawnp": "process start",
    "socket.connect": "socket",
    "socket.getaddrinfo": "DNS",
    "socket.gethostbyname": "DNS",
    "socket.gethostbyaddr": "DNS",
    "socket.getnameinfo": "DNS",
    "_ssl._SSLSocket.read": "socket",
    "_ssl._SSLSocket.write": "socket",
    "_ssl._SSLSocket.do_handshake": "socket",
    "select.select": "select",
    "select.poll": "select",
    "select.poll.poll": "select",
    "select.epoll.poll": "select",
    "select.devpoll.poll": "select",
    "select.kqueue.control": "select",
    "posix.waitpid": "subprocess",
    "posix.wait": "subprocess",
    "posix.wait3": "subprocess",
    "posix.wait4": "subprocess",
    "posix.waitid": "subprocess",
    "posix.system": "subprocess",
    "posix.read": "read",
    "posix.write": "write",
    "posix.fsync": "disk",
    "_winapi.WaitForSingleObject": "subprocess",
    "_winapi.WaitForMultipleObjects": "subprocess",
    "_io.FileIO.read": "read",
    "_io.BufferedReader.read": "read",
    "_io.BufferedReader.read1": "read",
    "_io.BufferedReader.readline": "read",
    "_io.BufferedReader.readinto": "read",
    "_io.BufferedReader.peek": "read",
    "_io.BufferedRWPair.readline": "read",
    "_io.BufferedRWPair.read": "read",
    "_io._IOBase.readline": "read",
    "_io._IOBase.readlines": "read",
    "_io.TextIOWrapper.read": "read",
    "_io.TextIOWrapper.readline": "read",
    "builtins.input": "input",
    "sqlite3.Connection.execute": "database",
    "sqlite3.Cursor.execute": "database",
    "sqlite3.Connection.commit": "database",
    "signal.pause": "signal",
    "signal.sigwait": "signal",
}

# C functions that let a lock go, by their dotted name; a queue's own one is let go by who puts.
PUTS, GETS = "_queue.SimpleQueue.put", "_queue.SimpleQueue.get"
RELEASES = frozenset(
    (
        PUTS,
        *(
            f"_thread.{kind}.{method}"
            for kind in ("lock", "RLock")
            for method in ("release", "release_lock", "__exit__", "_release_save")
        ),
    )
)

# By their last names: what waits for a lock of Python's in C, called from anywhere.
TAKING = frozenset(("acquire", "acquire_lock", "__enter__", "_acquire_restore", "get", "put", "join"))

_SOCKET_METHODS = frozenset(
    ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "send", "sendall", "sendto", "sendmsg",
     "accept", "_accept", "connect", "connect_ex")
)  # fmt: skip

# The function of the standard library that the user called says more than the lock it is made of:
# (file name, qualified name) → reason. The outermost one between the user's code and the wait counts.
LIBRARY_WAITS = {
    ("threading.py", "Thread.start"): "thread start",
    ("threading.py", "Thread.join"): "join",
    ("threading.py", "Timer.run"): "timer",
    ("threading.py", "Condition.wait"): "Condition",
    ("threading.py", "Event.wait"): "Event",
    ("threading.py", "Semaphore.acquire"): "Semaphore",
    ("threading.py", "Barrier.wait"): "Barrier",
    ("threading.py", "_shutdown"): "join",
    ("queue.py", "Queue.get"): "Queue.get",
    ("queue.py", "Queue.put"): "Queue.put",
    ("queue.py", "Queue.join"): "Queue.join",
    ("_base.py", "Future.result"): "result",
    ("_base.py", "Future.exception"): "result",
    ("_base.py", "as_completed"): "result",
    ("_base.py", "wait"): "result",
    ("_base.py", "Executor.map.<locals>.result_iterator"): "result",
    ("_base.py", "_result_or_cancel"): "result",
    ("_base.py", "Executor.__exit__"): "pool",
    ("thread.py", "ThreadPoolExecutor.shutdown"): "pool",
    ("process.py", "ProcessPoolExecutor.shutdown"): "pool",
    ("process.py", "BaseProcess.join"): "join",
    ("popen_fork.py", "Popen.wait"): "join",
    ("popen_forkserver.py", "Popen.poll"): "join",
    ("pool.py", "ApplyResult.get"): "result",
    ("pool.py", "ApplyResult.wait"): "result",
    ("pool.py", "IMapIterator.next"): "result",
    ("parallel.py", "Parallel._retrieve"): "result",  # joblib looks every 10 ms
    ("pool.py", "Pool.join"): "pool",
    ("pool.py", "Pool.__exit__"): "pool",
    ("pool.py", "Pool.terminate"): "pool",
    ("queues.py", "Queue.get"): "Queue.get",
    ("queues.py", "Queue.put"): "Queue.put",
    ("queues.py", "SimpleQueue.get"): "Queue.get",
    ("connection.py", "Connection.recv"): "pipe",
    ("connection.py", "_ConnectionBase.recv"): "pipe",
    ("connection.py", "_ConnectionBase.recv_bytes"): "pipe",
    ("connection.py", "_ConnectionBase.send"): "pipe",
    ("connection.py", "wait"): "pipe",
    ("managers.py", "BaseProxy._callmethod"): "manager",
    (
        "iostream.py",
        "OutStream.flush",
    ): "write",  # ipykernel's: until its own thread has sent what was printed
    ("subprocess.py", "Popen.wait"): "subprocess",
    ("subprocess.py", "Popen.communicate"): "subprocess",
    ("subprocess.py", "run"): "subprocess",
    ("selectors.py", "EpollSelector.select"): "select",
    ("thread.py", "_worker"): "for work",  # an idle worker of a ThreadPoolExecutor
    ("process.py", "_process_worker"): "for work",
    ("pool.py", "worker"): "for work",
}

# What an `import` statement calls: file, qualified name.
IMPORT = ("<frozen importlib._bootstrap>", "_find_and_load")

# Methods of files that may be answered from a buffer, without a wait: the beginning of their dotted names.
BUFFERED = ("_io.Buffered", "_io.TextIO", "_io._IO")

# System calls by number, where the sampler found a thread in one. It waits in clone and vfork only where the
# child has its memory until it runs another program.
_X86_64 = {
    0: "read", 1: "write", 7: "select", 17: "read", 18: "write", 19: "read", 20: "write", 23: "select",
    34: "signal", 35: "sleep", 42: "socket", 43: "socket", 44: "socket", 45: "socket", 46: "socket",
    47: "socket", 56: "process start", 58: "process start", 61: "subprocess", 73: "file lock",
    74: "disk", 75: "disk", 128: "signal",
    202: "lock", 230: "sleep", 232: "select", 247: "subprocess", 270: "select", 271: "select",
    281: "select", 288: "socket", 435: "process start", 441: "select",
}  # fmt: skip
_AARCH64 = {
    22: "select", 32: "file lock", 63: "read", 64: "write", 65: "read", 66: "write", 67: "read",
    68: "write", 72: "select", 73: "select", 82: "disk", 83: "disk", 95: "subprocess", 98: "lock",
    101: "sleep", 115: "sleep", 137: "signal", 202: "socket", 203: "socket", 206: "socket",
    207: "socket", 211: "socket", 212: "socket", 220: "process start", 242: "socket", 260: "subprocess",
    435: "process start", 441: "select",
}  # fmt: skip

# Codes of SampleLog that are no system call.
ON_CORE, GONE, GIL, FUTEX, ASLEEP, CORE, HOLDER, SHARED_FUTEX, CLOCK = -1, -2, -3, -4, -5, -6, -7, -8, -9


def blocking_reason(name: str) -> str:
    """The reason of a wait in this C function; "" if it does not wait."""
    known = BLOCKING_CALLS.get(name)
    if known is not None:
        return known
    owner, _, method = name.rpartition(".")
    if owner in ("socket.socket", "_socket.socket", "socket", "_socket") and method in _SOCKET_METHODS:
        return "socket"
    return ""


def syscall_reason(number: int, machine: str = "") -> str:
    """The reason of a wait in this system call; "system call" where the table has none."""
    import platform  # not at the start: a child reads the names only

    table = _AARCH64 if (machine or platform.machine()) in ("aarch64", "arm64") else _X86_64
    return table.get(number, "system call")
