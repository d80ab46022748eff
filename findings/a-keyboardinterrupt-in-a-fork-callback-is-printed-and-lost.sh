#!/usr/bin/env bash
# CPython (seen on 3.11, 3.13, 3.14): what a callback of os.register_at_fork raises is printed as "Exception ignored" and dropped, a
# KeyboardInterrupt too. logging, threading and random register such callbacks, IPython as well; so Ctrl-C
# that comes while a process forks does not stop the program. The fork goes on, and so does the loop around it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 - <<'PY' 2>"$dir/errors" | tee "$dir/seen"
import os, signal

signal.signal(signal.SIGINT, signal.default_int_handler)
armed = True

def callback():
    global armed
    if armed:
        armed = False
        os.kill(os.getpid(), signal.SIGINT)  # stands for Ctrl-C at this moment
        for _ in range(10):
            pass

os.register_at_fork(before=callback)
rounds = 0
try:
    for _ in range(3):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        rounds += 1
except KeyboardInterrupt:
    print("interrupted")
print("rounds", rounds)
PY
grep -o "Exception ignored in" "$dir/errors" | tee -a "$dir/seen"
diff "$dir/seen" - <<'EXPECTED'
rounds 3
Exception ignored in
EXPECTED
