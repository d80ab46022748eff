"""Looking at the frames of threads that compute costs nobody anything."""

from __future__ import annotations

import subprocess
import sys

# Threads that lose the GIL right after calls, with arguments that are gone by then, while all are looked at.
LOOK = """
import io, sys, threading, time
from concmagic.recording.locks.futex_addresses import LockAddresses
from concmagic.recording.locks.lock_sites import Chains

sys.setswitchinterval(1e-5)
over, lock = threading.Event(), threading.Lock()

class Held:
    def __enter__(self): return self
    def __exit__(self, *error): return False

def compute():
    while not over.is_set():
        for size in range(50):
            found = []
            found.append(bytes(size + 300).upper())
            "".join([str(size), "x" * size]).encode("utf-8")
            with Held(), io.BytesIO(), lock:
                dict(a=bytearray(size)).update(b=object())

threads = [threading.Thread(target=compute) for _ in range(4)]
for thread in threads:
    thread.start()
addresses = LockAddresses(Chains(), repeat=False, failed=print)
until, looked = time.monotonic() + 3, 0
while time.monotonic() < until:
    addresses.look()
    looked += 1
over.set()
for thread in threads:
    thread.join()
print("looked", looked > 0)
"""


def test_frames_of_computing_threads_can_be_looked_at() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "looked True"), done.stderr
