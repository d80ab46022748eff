#!/usr/bin/env bash
# CPython on Linux (seen on 3.11.7, 3.13.0, 3.14.10): `os.posix_spawn` does not let go of the GIL, and the C library returns from
# it only when the child has executed its program. While that takes long, a file action on a slow file system for one,
# no other thread of the parent runs. Here the child opens a pipe before it runs /bin/true; another process opens the
# other end a second later, and a thread that counts every 10 ms counts nothing meanwhile.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
mkfifo "$dir/pipe"
python3 - "$dir/pipe" <<'PY' | tee "$dir/seen"
import os, subprocess, sys, threading, time

path, at = sys.argv[1], []

def count():
    while True:
        at.append(time.monotonic())
        time.sleep(0.01)

threading.Thread(target=count, daemon=True).start()
other = subprocess.Popen(["sh", "-c", 'sleep 1; : > "$1"', "sh", path])
begun = time.monotonic()
pid = os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, path, os.O_RDONLY, 0)])
ended = time.monotonic()
os.waitpid(pid, 0)
other.wait()
print("longer than half a second:", ended - begun > 0.5)
print("counted in its middle:", sum(begun + 0.1 < one < ended - 0.1 for one in at))
PY
diff "$dir/seen" - <<'EXPECTED'
longer than half a second: True
counted in its middle: 0
EXPECTED
