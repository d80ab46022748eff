"""What recording a cell can say: its recorders, the calls, the sampler."""

from __future__ import annotations


def words_of(error: BaseException) -> str:
    """An error's type and message; what it is made of may be the user's, and fail in its turn."""
    kind = type(error).__name__
    try:
        message = str(error)
    except Exception:
        return kind
    return f"{kind}: {message}" if message else kind


def recorder_failed(name: str, error: BaseException) -> str:
    """Say which source of evidence is missing, and why."""
    return f"The {name} recorder failed, its evidence is missing ({words_of(error)})."


def call_not_noted(name: str, error: str) -> str:
    """Say what is missing where noting a call failed; the call itself went as ever."""
    return f"Not every call of {name} could be noted, what it would tell is missing ({error})."


def own_thread_failed(error: BaseException) -> str:
    """Say that one of our own threads came to an end before its time; the cell ran as ever."""
    kind = type(error).__name__
    return f"A thread of concmagic's own failed, what it would have noted is missing ({kind}: {error})."


def thread_not_recorded(error: BaseException) -> str:
    """Say that a thread is missing; it ran as ever."""
    return f"One of the cell's threads could not be recorded ({words_of(error)})."


def marks_left_out(kept: int) -> str:
    """More marks than are kept."""
    return f"Only the first {kept:,} marks are kept."


def texts_cut(how_many: int, longest: int) -> str:
    """Names, labels and messages that are shown in part; each of them says how long it is."""
    what = "1 name or text is" if how_many == 1 else f"{how_many:,} names and texts are"
    return f"{what} longer than {longest} characters and shown cut."


def borrowed_lost(owner: str, name: str, why: str, serves: str) -> str:
    """Say what is not seen because a name of Python's or of a library's is not what it was."""
    return f"{owner}.{name} is {why} here: {serves} may be missing."


# Calls

# On a build without the GIL, in the footer; the second where calls were asked for.
CALLS_NOT_RECORDED = "Calls are not recorded on a free-threaded Python; states are whole."
CALLS_ASKED_FOR_IN_VAIN = (
    "--detail calls recorded no calls: on a free-threaded Python it can end the kernel to stop recording them; "
    "states are whole."
)
EARLIER_RECORDING_GOES_ON = (
    "The recording of an earlier cell's calls could not be ended: there are none here."
)
RECORDING_NOT_ENDED = "another thread is ending the recording, and does not come to an end"


def tool_is_busy(name: str) -> str:
    """Another tool recorded calls in this process when the cell began, and goes on."""
    return f"{name} was recording calls when the cell began, and only one tool can: there are none here."


NO_PLACE_FOR_CALLS = "Other tools have taken every place in sys.monitoring: calls are not recorded."


def calls_step_back(taker: str) -> str:
    """The cell asked for the number in sys.monitoring at which calls were recorded."""
    if not taker:
        return "The cell freed the tool in sys.monitoring that recorded calls: there are none from then on."
    return (
        f"{taker} took the place in sys.monitoring at which calls were recorded: there are none from then on."
    )


def hook_name(hook: object) -> str:
    """Name a profile hook by its function or type, with the module it comes from."""
    named = hook if hasattr(hook, "__qualname__") else type(hook)
    module = getattr(named, "__module__", None)
    name = named.__qualname__
    return f"The profile hook {name if module in (None, 'builtins') else f'{module}.{name}'}"


def native_calls_not_recorded(flaw: str) -> str:
    """This VizTracer's memory is not as expected, so its events are read the slow, safe way."""
    return (
        f"Native calls were not recorded: this VizTracer lays out its memory in a way "
        f"that is not known here ({flaw}). Python functions were."
    )


def first_calls_overwritten() -> str:
    """The ring of events went round."""
    return "More calls were made than fit, and the first of them were overwritten."


def tracer_evicted(by: str) -> str:
    """The cell itself used a profiler; up to Python 3.11 a thread has room for one."""
    return f"The cell used {by[0].lower() + by[1:]}, which ended the recording of calls."


def calls_no_longer_watched(error: BaseException) -> str:
    """The thread that looks how much has been recorded failed."""
    kind = type(error).__name__
    return f"The watch over how many calls were recorded failed ({kind}: {error}): none were recorded from then on."


def tracer_gave_up() -> str:
    """VizTracer ends by itself when a return does not fit its stack of calls."""
    return (
        "VizTracer lost track of the call stack (code that switches stacks, such as greenlets, "
        "does that, and a signal's handler that raises) and recorded no calls from then on."
    )


def threads_not_reached() -> str:
    """Python 3.11 without the C function that sets another thread's profile function."""
    return "Threads that were there before the cell could not be reached: their calls were not recorded."


# The sampler

NO_SAMPLER_HERE = (
    "Who is on a core cannot be sampled on this system (it has no /proc): "
    "waits for the GIL and for locks are not told apart."
)

_PROBLEMS = {
    "no-calls": "This system does not show in which call a thread waits: "
    "waits for the GIL and for locks are not told apart.",
    "many-threads": "Only the first {} threads were sampled: of the others only calls and CPU clocks are known.",
    "full": "The sampler's memory was full before the cell's end: what only it sees is unknown from then on.",
}


def sampler_problem(word: str) -> str:
    """What the helper process tells by a word of its own; "" where others say it."""
    name, _, number = word.partition(" ")
    return _PROBLEMS.get(name, "").format(number)


def sampled_seldom(rate_hz: float, asked_hz: float, wanted_hz: float) -> str:
    """Turns can be too short for the samples; why there were not more."""
    why = (
        "so as to take little of a busy machine"
        if asked_hz < 0.75 * wanted_hz
        else "because the machine let the sampler run no more often"
    )
    return (
        f"Threads were looked at {rate_hz:.0f} times a second, not {wanted_hz:.0f}, {why}: "
        "shorter turns are not seen one by one; totals are from CPU clocks."
    )


SAMPLER_STOPPED = (
    "The sampler's process had been stopped from outside (SIGSTOP or a debugger) and was given up: "
    "what only it sees is unknown in this cell. The next cell has a new one."
)


def sampler_lost(error: BaseException) -> str:
    """The helper process did not start, did not answer or has died."""
    kind = type(error).__name__
    return f"The sampler was lost ({kind}: {error}): what only it sees is unknown in this cell."
