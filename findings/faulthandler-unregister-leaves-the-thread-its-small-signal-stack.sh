#!/usr/bin/env bash
# CPython (seen on 3.11.7, 3.13.0; Linux, glibc): `faulthandler.register` calls sigaltstack for the thread that it is
# called in, and `faulthandler.unregister` does not undo that. From then on every Python-level signal handler's C
# part, of any signal, runs on that stack in this thread, since Python installs all of them with SA_ONSTACK: 12 to
# 18 KB in place of the megabytes of the thread's own. With AVX-512 the kernel's frame alone takes 3.6 KB of it, for
# each signal that comes while another is handled. Another thread has none.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 - <<'PY' | tee "$dir/seen"
import ctypes, faulthandler, signal, threading

class Stack(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

DISABLED = 2

def size():
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return 0 if stack.flags & DISABLED else stack.size

def told(size):
    return "none" if size == 0 else "small" if size < 1 << 16 else "large"

elsewhere = []
print("at first:", told(size()))
faulthandler.register(signal.SIGUSR1)
print("registered:", told(size()))
faulthandler.unregister(signal.SIGUSR1)
print("unregistered:", told(size()))
thread = threading.Thread(target=lambda: elsewhere.append(size()))
thread.start(); thread.join()
print("another thread:", told(elsewhere[0]))
PY
diff "$dir/seen" - <<'EXPECTED'
at first: none
registered: small
unregistered: small
another thread: none
EXPECTED
