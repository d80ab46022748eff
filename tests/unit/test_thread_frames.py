"""The frames of all threads can be asked for at any moment."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from types import FrameType

from concmagic.interpreter.frames_and_threads import thread_frames

# Garbage that holds a thread-local, and so many frames to be made that the collector runs in their midst.
ASK = """
import gc, threading
from concmagic.interpreter.frames_and_threads import thread_frames

class Node: pass

def leave_garbage():
    node = Node()
    node.itself, node.local = node, threading.local()
    node.local.value = 1

over = threading.Event()
threads = [threading.Thread(target=over.wait) for _ in range(20)]
for thread in threads:
    thread.start()
gc.set_threshold(20, 1000, 1000)
for turn in range(3_000):
    leave_garbage()
    assert len(thread_frames()) == 20
over.set()
print("alive")
"""


def test_garbage_with_thread_locals_does_not_stop_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr


def test_the_collector_is_as_it_was() -> None:
    assert gc.isenabled()
    assert threading.get_ident() not in thread_frames()
    assert gc.isenabled()
    gc.disable()
    try:
        assert threading.get_ident() not in thread_frames()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_look_leaves_the_collector_no_frames() -> None:
    """Else what their variables hold would stay until it runs."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    gc.collect()
    gc.disable()
    try:
        thread_frames()
        over.set()
        thread.join()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kept = [one.f_code.co_qualname for one in gc.garbage if isinstance(one, FrameType)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert kept == []
