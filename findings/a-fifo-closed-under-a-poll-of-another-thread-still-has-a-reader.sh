#!/usr/bin/env bash
# Linux with CPython (seen on 3.11, 3.13, 3.14): a thread waits in `poll()` for a FIFO, another one closes the
# descriptor. The number is free at once, but the wait goes on, and the kernel keeps the reading end open for it:
# a writer that opens the FIFO without blocking to learn whether anybody listens is not refused with ENXIO, and
# what it writes is lost. Only when the wait ends is there no reader any more.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 - "$dir/fifo" <<'PY' | tee "$dir/seen"
import os, pathlib, select, sys, threading, time

def ask(when):
    try:
        os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK))
        print(f"{when}: somebody reads")
    except OSError as error:
        print(f"{when}: {type(error).__name__} {error.errno}")

os.mkfifo(sys.argv[1])
fifo = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
other, end = os.pipe()
poll = select.poll()
poll.register(fifo, select.POLLIN)
poll.register(other, select.POLLIN)
thread = threading.Thread(target=poll.poll)
thread.start()
call = pathlib.Path(f"/proc/self/task/{thread.native_id}/syscall")
while call.read_text().split()[0] not in {"7", "271", "73"}:  # poll, ppoll; the last on arm64
    time.sleep(0.001)
os.close(fifo)
try:
    os.fstat(fifo)
except OSError:
    print("the descriptor is closed")
ask("while the thread waits")
os.write(end, b"x")
thread.join()
ask("after its wait")
PY
diff "$dir/seen" - <<'EXPECTED'
the descriptor is closed
while the thread waits: somebody reads
after its wait: OSError 6
EXPECTED
