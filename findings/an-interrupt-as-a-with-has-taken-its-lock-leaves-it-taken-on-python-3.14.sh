#!/usr/bin/env bash
# CPython 3.14 runs handlers of signals between the call of `__enter__` and the block that calls `__exit__`, where no
# other version does: `with` enters by an ordinary CALL there, and a CALL ends by a look at what is pending. What the
# handler raises, KeyboardInterrupt by default, leaves a lock taken by `with lock:` taken for ever. It is the usual place:
# of signals that met a loop over `with lock: pass` more than half did it (18,080 of 29,382, 3.14.10). None on 3.11.7,
# 3.13.0, 3.15.2. A lock that has the signal wait for the next look shows it each time. Every python3.x on the PATH is asked.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cat > "$dir/ask.py" <<'PY'
import _thread, functools, operator, signal, threading

signal.signal(signal.SIGINT, signal.default_int_handler)
lock = threading.Lock()

class Taken:
    # Taken, and then a Ctrl-C arrives: both in C, so that nothing looks at signals before the call is over.
    __enter__ = staticmethod(functools.partial(list, map(operator.call, (lock.acquire, _thread.interrupt_main))))

    def __exit__(self, *error):
        lock.release()

try:
    with Taken():
        sum(range(10))
except KeyboardInterrupt:
    print("taken" if lock.locked() else "let go")
PY
asked=0
for python in python3 python3.11 python3.12 python3.13 python3.14 python3.15; do
  minor=$("$python" -c 'import sys; print(sys.version_info.minor)' 2>/dev/null) || continue
  [ "$minor" -ge 11 ] || continue
  seen=$("$python" "$dir/ask.py")
  echo "3.$minor: $seen"
  if [ "$minor" -eq 14 ]; then [ "$seen" = taken ]; else [ "$seen" = "let go" ]; fi
  asked=$((asked + 1))
done
[ "$asked" -gt 0 ] || { echo "no Python 3.11 or later on the PATH"; exit 1; }
