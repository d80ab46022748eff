"""What a kernel runs first, so that a test can interrupt a cell where it stands still, and tell its end."""

from __future__ import annotations

# Says so once the main thread stands still: an interrupt then meets the wait itself, not the print before it.
STILL = (
    "from concmagic.interpreter.frames_and_threads import thread_frames\n"  # of which Python 3.11 never hangs
    "def say_when_still(then=lambda: None):\n"
    "    main = threading.main_thread().ident\n"
    "    def watch():\n"
    "        last, times = None, 0\n"
    "        while times < 5:\n"
    "            frame = thread_frames()[main]\n"
    "            now = id(frame), frame.f_lasti\n"
    "            times = times + 1 if now == last else 0\n"
    "            last = now\n"
    "            time.sleep(0.01)\n"
    "        print('here', flush=True)\n"
    "        then()\n"
    "    threading.Thread(target=watch, daemon=True).start()\n"
)
# Notes when a traced cell was over: recording stops then, and the picture is still to come.
ENDED = (
    "import time\n"
    "from concmagic.recording.session import RecordingSession\n"
    "if 'real_stop' not in globals():\n"
    "    real_stop = RecordingSession.stop\n"
    "    def noting_stop(*args, **kwargs):\n"
    "        global ended\n"
    "        ended = time.monotonic()\n"
    "        return real_stop(*args, **kwargs)\n"
    "    RecordingSession.stop = noting_stop\n"
)
