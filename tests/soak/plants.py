"""Faults that are planted in the soaked kernel to see that the soak finds them: never in the package."""

from __future__ import annotations

# Each shows in another cell, so that one run can find all three, and the first cells are seen to be right.
_COUNT = """
from concmagic.recording.session import RecordingSession
_cells = {"hook": 0, "value": 0, "lock": 0}

def _planted(owner, name, around):
    original = vars(owner)[name]
    def changed(*args, **kwargs):
        return around(original, *args, **kwargs)
    setattr(owner, name, changed)
"""
# A patched function that is not put back: from the third traced cell on.
_HOOK = f"""{_COUNT}
def _stop(original, *args, **kwargs):
    _cells["hook"] += 1
    if _cells["hook"] == 3:
        start = threading.Thread.start
        threading.Thread.start = lambda thread: start(thread)
    return original(*args, **kwargs)
_planted(RecordingSession, "stop", _stop)
"""
# A lock that the fifth cell takes and does not let go: the sixth waits for it.
_LOCK = f"""{_COUNT}
_kept = threading.Lock()
def _start(original, *args, **kwargs):
    _cells["lock"] += 1
    _kept.acquire()
    if _cells["lock"] != 5:
        _kept.release()
    return original(*args, **kwargs)
_planted(RecordingSession, "start", _start)
"""
# A value that is another one than the cell's: from the fourth on.
_VALUE = f"""{_COUNT}
from concmagic.traced_cell import TracedCell
def _ended(original, self, traced):
    _cells["value"] += 1
    value = original(self, traced)
    return [value] if _cells["value"] >= 4 and value is not None else value
_planted(TracedCell, "_ended", _ended)
"""
PLANTS = {"hook": _HOOK, "lock": _LOCK, "value": _VALUE}
