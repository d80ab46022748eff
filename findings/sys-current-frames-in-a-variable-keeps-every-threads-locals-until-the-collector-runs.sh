#!/usr/bin/env bash
# CPython (seen on 3.11.7, 3.13.0, 3.14.10): `sys._current_frames()` has the calling thread's own frame in it. A function that puts
# the answer in a variable, as watchdogs and samplers do, makes a circle of it (frame, its variable, the dict, the
# frame), so that every frame in there, and with it the locals of every thread, lives on until the cyclic collector
# runs, though the function has returned and the threads have ended. Without the own frame in it nothing is kept.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 - <<'PY' | tee "$dir/seen"
import gc, sys, threading, weakref

class Thing:
    pass

def keep_all():
    frames = sys._current_frames()

def keep_others():
    frames = sys._current_frames()
    del frames[threading.get_ident()]

def is_kept(look):
    there, over, things = threading.Event(), threading.Event(), []

    def holds():
        thing = Thing()
        things.append(weakref.ref(thing))
        there.set()
        over.wait()

    thread = threading.Thread(target=holds)
    thread.start()
    there.wait()
    look()
    over.set()
    thread.join()
    return things[0]() is not None

gc.disable()
print("with the own frame, a local of an ended thread lives:", is_kept(keep_all))
print("without it:", is_kept(keep_others))
PY
diff "$dir/seen" - <<'EXPECTED'
with the own frame, a local of an ended thread lives: True
without it: False
EXPECTED
