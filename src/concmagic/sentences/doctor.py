"""What `%timeline --doctor` tells: versions, what is read beyond the interfaces, and what is lost without it."""

from __future__ import annotations

DOCTOR_READS = "What is read of Python and of libraries beyond their interfaces, and tried just now:"
DOCTOR_ALL_WORKS = "All of it works here."
DOCTOR_WORKS = "works"
DOCTOR_FAILS = "FAILS"
DOCTOR_HERE = "here"
DOCTOR_LACKS = "Names that this version should have, and that are missing:"
DOCTOR_LAST = "The last trace told:"
DOCTOR_NO_LAST = "No cell has been traced yet."
DOCTOR_LAST_WELL = "The last trace told of no problem."
DOCTOR_NOT_INSTALLED = "not installed"

# By the names of the table of capabilities: what it is, and what is lost without it.
CAPABILITIES = {
    "calls": (
        "VizTracer's memory",
        "Calls of C functions have no names, and the budget of calls cannot end them.",
    ),
    "profiles": ("profile functions of all threads", "Calls of threads that were there before the cell."),
    "monitoring": ("sys.monitoring", "Calls, and each use of a lock."),
    "with locks": ("the lock of a `with`", "Which lock a `with` waits for, and who has it."),
    "value stack": ("values on a frame's stack", "Locks of `with`, and where locks were made."),
    "lock words": ("the word that a lock's waiters sleep on", "Which lock a sleeping thread waits for."),
    "GIL": ("the place of the GIL", "Who has the GIL, and who wants it."),
    "frames": ("frames of other threads", "Where threads stand when a cell is interrupted or hangs."),
    "threads": (
        "what threads run",
        "Names and ends of threads, what they died of, and locks that they joined by.",
    ),
    "executors": ("jobs of concurrent.futures", "Jobs of executors, and dropping them after an interrupt."),
    "task steps": ("steps of tasks", "Tasks and their states."),
    "task waits": ("fields of asyncio's objects", "Why tasks waited, and who woke them."),
    "running loops": ("which loop runs", "`asyncio.run` and `run_until_complete` inside a traced cell."),
    "process start": ("how processes start", "What child processes did, and when their own code began."),
    "pools": ("the inside of multiprocessing's Pool", "Why a pool's workers do not start."),
    "messages": ("messages between processes", "Messages, and which worker had which job."),
    "pickling": ("packing code of the notebook", "Functions of the notebook in processes that are spawned."),
    "named resources": (
        "names of shared memory",
        "Removing shared memory of processes that an interrupt ended.",
    ),
    "notebook": ("how IPython runs cells", "Whether a cell awaits, and its own line numbers."),
    "texts": (
        "texts of warnings and errors",
        "What was never awaited, and advice for names without a value.",
    ),
}


def doctor_title(concmagic: str, python: str, implementation: str) -> str:
    """The first line."""
    return f"concmagic {concmagic} on {implementation} {python}"


def doctor_fails(why: str, lost: str) -> str:
    """A capability that is not to be had here: what differed, and what that costs."""
    return f"FAILS ({why}). Lost: {lost}" if why else f"FAILS. Lost: {lost}"


def doctor_count(failed: int, tried: int) -> str:
    """How many do not work."""
    return f"{failed} of {tried} do not work here:"
