#!/usr/bin/env bash
# pyzmq 27.3.0 (seen on CPython 3.11.7): with `copy=False`, which is how ipykernel 7.4.0 sends outputs, a message below
# `zmq.COPY_THRESHOLD` (65,536 bytes) is copied all the same; the first one of that size starts a thread that frees what
# was sent. In a process that can have no more threads that raises "can't start new thread", and an output of a kernel
# that was a little smaller a moment ago is lost.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check pyzmq==27.3.0
"$dir/venv/bin/python" - <<'PY' | tee "$dir/seen"
import threading
import zmq

context = zmq.Context()
one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
one.bind("inproc://here")
other.connect("inproc://here")
print("pyzmq", zmq.__version__)
for size in (65_535, 65_536):
    one.send(bytes(size), copy=False)
    print(size, "bytes received:", len(other.recv()), "threads:", threading.active_count())
one.close(), other.close()
PY
diff "$dir/seen" - <<'EXPECTED'
pyzmq 27.3.0
65535 bytes received: 65535 threads: 1
65536 bytes received: 65536 threads: 2
EXPECTED
