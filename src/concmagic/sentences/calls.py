"""What the recording of calls can say."""

from __future__ import annotations

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
