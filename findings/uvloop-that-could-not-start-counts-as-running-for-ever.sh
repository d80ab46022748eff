#!/usr/bin/env bash
# uvloop 0.23.0 (seen on CPython 3.11.7, Linux): a loop makes its socket pair for signals each time that it is run, and
# marks itself as running before that. Where the pair cannot be made (here: no descriptor is free for a moment) the
# error is raised and the mark stays: the loop can be neither run again nor closed, although nothing runs it and
# asyncio knows of no running loop. asyncio's own loop makes its pair once, with itself, and goes on.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0
"$dir/venv/bin/python" - <<'PY' | tee "$dir/seen"
import asyncio, os, resource, uvloop
from contextlib import contextmanager

async def work():
    return "worked"

@contextmanager
def no_free_descriptor():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

def told(act):
    try:
        return act()
    except (OSError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"

def run(loop):
    coroutine = work()
    try:
        return told(lambda: loop.run_until_complete(coroutine))
    finally:
        coroutine.close()

for make in (asyncio.new_event_loop, uvloop.new_event_loop):
    loop = make()
    print(type(loop).__module__)
    with no_free_descriptor():
        print(" ", run(loop))
    print("  running:", loop.is_running())
    print(" ", run(loop))
    print("  close:", told(loop.close))
PY
diff "$dir/seen" - <<'EXPECTED'
asyncio.unix_events
  worked
  running: False
  worked
  close: None
uvloop
  OSError: [Errno 24] Too many open files
  running: True
  RuntimeError: this event loop is already running.
  close: RuntimeError: Cannot close a running event loop
EXPECTED
