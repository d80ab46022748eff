#!/usr/bin/env bash
# CPython (seen on 3.11, 3.13, 3.14): `threading.Condition.wait` lets its lock go before the `try` whose
# `finally` takes it again. Ctrl-C in between leaves the lock free, the `with condition:` around it fails as it
# lets go what is not held, and the program sees a RuntimeError with the KeyboardInterrupt as its context:
# `except KeyboardInterrupt` does not catch it. `Event.wait`, queues and semaphores stand on the same code. A lock
# whose release sends the signal puts it there every time; with a profiler on it is met by chance, too.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 - <<'PY' | tee "$dir/seen"
import functools, operator, signal, threading, types

signal.signal(signal.SIGINT, signal.default_int_handler)
lock = threading.Lock()
interrupt = functools.partial(signal.raise_signal, signal.SIGINT)
let_go = functools.partial(list, map(operator.call, (lock.release, interrupt)))
condition = threading.Condition(types.SimpleNamespace(
    acquire=lock.acquire, release=let_go, locked=lock.locked, __enter__=lock.__enter__, __exit__=lock.__exit__))
try:
    with condition:
        condition.wait(20)
except KeyboardInterrupt:
    print("caught")
except RuntimeError as error:
    print(f"RuntimeError: {error}; context {type(error.__context__).__name__}")
PY
diff "$dir/seen" - <<'EXPECTED'
RuntimeError: release unlocked lock; context KeyboardInterrupt
EXPECTED
