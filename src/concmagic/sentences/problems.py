"""What could not be recorded, read or saved, and why: a sentence for each kind, made from its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from concmagic.sentences.children import ended_how
from concmagic.sentences.numbers import count, duration

if TYPE_CHECKING:
    from concmagic.model.reading import Kind, UnreadableError, Wrong


# By kind, with places for the values. Where more depends on them it is a function, see FUNCTIONS.
SENTENCES = {
    "as_told": "{}",
    "recorder_failed": "The {} recorder failed, its evidence is missing ({}).",
    "call_not_noted": "Not every call of {} could be noted, what it would tell is missing ({}).",
    "own_thread_failed": "A thread of concmagic's own failed, what it would have noted is missing ({}).",
    "thread_not_recorded": "One of the cell's threads could not be recorded ({}).",
    "marks_left_out": "Only the first {:,} marks are kept.",
    "borrowed_lost": "{}.{} is {} here: {} may be missing.",
    "calls_asked_for_in_vain": "--detail calls recorded no calls: on a free-threaded Python it can end the kernel to stop recording them; states are whole.",
    "earlier_recording_goes_on": "The recording of an earlier cell's calls could not be ended: there are none here.",
    "no_place_for_calls": "Other tools have taken every place in sys.monitoring: calls are not recorded.",
    "native_calls_not_recorded": "Native calls were not recorded: this VizTracer lays out its memory in a way that is not known here ({}). Python functions were.",
    "first_calls_overwritten": "More calls were made than fit, and the first of them were overwritten.",
    "calls_no_longer_watched": "The watch over how many calls were recorded failed ({}): none were recorded from then on.",
    "tracer_gave_up": "VizTracer lost track of the call stack (code that switches stacks, such as greenlets, does that, and a signal's handler that raises) and recorded no calls from then on.",
    "threads_not_reached": "Threads that were there before the cell could not be reached: their calls were not recorded.",
    "no_sampler_here": "Who is on a core cannot be sampled on this system (it has no /proc): waits for the GIL and for locks are not told apart.",
    "sampler_stopped": "The sampler's process had been stopped from outside (SIGSTOP or a debugger) and was given up: what only it sees is unknown in this cell. The next cell has a new one.",
    "sampler_lost": "The sampler was lost ({}): what only it sees is unknown in this cell.",
    "child_never_started": "{} could not start: {}",
    "child_left_running": "{} was still running when the cell ended: its calls and threads are not here.",
    "child_of_earlier_cell": "{} was started before this cell: its calls and jobs are not here.",
    "ends_not_watched": "The ends of child processes are told late, or not at all: nothing could be started to watch for them ({}).",
    "end_not_heard": "What a child did is missing if it was terminated or outlived the cell: nothing could be started in it to listen ({}).",
    "child_busy_with_us": "What one of the children did is missing: its recorders did not come to an end.",
    "child_did_not_answer": "{} was still running when the cell ended: its calls are here as far as it had handed them over.",
    "evidence_unreadable": "The recorded {} could not be read ({}).",
    "no_tool_for_locks": "Other tools have taken every place in sys.monitoring: which lock a thread waited for is not recorded.",
    "locks_of_with_unseen": "This Python's frames cannot be read: locks taken by `with` are known from samples only.",
    "look_at_locks_failed": "A look at where the threads stand failed: who waited for which lock then is not known ({}).",
    "tasks_lost": "Recording asyncio's tasks stopped in the middle of the cell ({}).",
    "foreign_loop_unseen": "The tasks on loops of this {} could not be recorded ({}).",
    "hook_replaced": "Something else replaced asyncio's {} during the cell and was left in place.",
    "runner_failed": "What concmagic puts around a cell to run it failed ({}): interrupts, --timeout and loops of the cell's own may not have worked as they do elsewhere.",
    "unknown_kind": "A later concmagic has saved what this one does not know: {}.",
}


def texts_cut(how_many: int, longest: int) -> str:
    """Names, labels and messages that are shown in part; each of them says how long it is."""
    what = "1 name or text is" if how_many == 1 else f"{how_many:,} names and texts are"
    return f"{what} longer than {longest} characters and shown cut."


def tool_is_busy(name: str, is_hook: bool) -> str:
    """Another tool recorded calls in this process when the cell began, and goes on."""
    who = f"The profile hook {name}" if is_hook else name
    return f"{who} was recording calls when the cell began, and only one tool can: there are none here."


def calls_step_back(taker: str) -> str:
    """The cell asked for the number in sys.monitoring at which calls were recorded."""
    if not taker:
        return "The cell freed the tool in sys.monitoring that recorded calls: there are none from then on."
    return (
        f"{taker} took the place in sys.monitoring at which calls were recorded: there are none from then on."
    )


def tracer_evicted(name: str, is_hook: bool) -> str:
    """The cell itself used a profiler; up to Python 3.11 a thread has room for one."""
    who = f"the profile hook {name}" if is_hook else name or "another profiler"
    return f"The cell used {who}, which ended the recording of calls."


_OF_SAMPLER = {
    "no-calls": "This system does not show in which call a thread waits: "
    "waits for the GIL and for locks are not told apart.",
    "many-threads": "Only the first {} threads were sampled: of the others only calls and CPU clocks are known.",
    "full": "The sampler's memory was full before the cell's end: what only it sees is unknown from then on.",
}


def sampler_problem(word: str) -> str:
    """What the helper process tells by a word of its own; "" where others say it."""
    name, _, number = word.partition(" ")
    return _OF_SAMPLER.get(name, "").format(number)


def messages_left_out(kept: int, lost: int) -> str:
    """More messages than are kept."""
    return (
        f"The first {kept:,} messages that a process sent and received are told; "
        f"of {count(lost, 'later one')} nothing is known."
    )


def still_clean_up(names: tuple[str, ...]) -> str:
    """Children that handle an interrupt when their parent's cell is over."""
    verb = "was" if len(names) == 1 else "were"
    return f"{', '.join(names)} {verb} still cleaning up after the interrupt when the cell was over, and may finish that."


def child_told_nothing(name: str, exit_code: int | None) -> str:
    """Say what is missing of a child that was ended before it could hand over."""
    return f"{name} handed nothing over ({ended_how(exit_code)}): its calls and threads are missing."


def child_never_began(name: str, exit_code: int | None) -> str:
    """Say that a child was ended while Python started: there is nothing that could be missing."""
    return f"{name} was ended before its work began ({ended_how(exit_code)})."


def child_told_its_jobs(name: str, exit_code: int | None) -> str:
    """Say what is missing of a child that was killed, and had told of its jobs as it ran."""
    return f"{name} handed its jobs and marks over as it ran ({ended_how(exit_code)}): its calls and threads are missing."


def child_told_its_calls(name: str, exit_code: int | None, missing_ns: float) -> str:
    """Say what is missing of a child that was killed, and had handed its calls over as it ran."""
    return (
        f"{name} handed its jobs, marks and calls over as it ran ({ended_how(exit_code)}):"
        f" the calls of its last {duration(missing_ns)} are missing."
    )


def jobs_merged(
    kept: int, later: int, outcomes: tuple[tuple[str, int], ...], running_ns: int, queued_ns: int
) -> str:
    """More jobs of pools than are kept one by one."""
    from concmagic.model.outcomes import outcome_of  # late: a child has sentences, too

    done = sum(many for _, many in outcomes)
    told = f"{done:,} merged, with exact sums: they ran {duration(running_ns)} in all"
    told += f" and were queued for {duration(queued_ns)}" if queued_ns else ""
    failed = sorted(one for one in outcomes if outcome_of(one[0]).kind == "raised")
    told += "".join(f", {many:,} {outcome}" for outcome, many in failed)
    left = f"; {later - done:,} did not end" if later > done else ""
    return f"Of {count(kept + later, 'job')} of pools {kept:,} are told one by one, {told}{left}."


def tool_for_locks_lost(owner: str) -> str:
    """Say that the cell gave our place in sys.monitoring up."""
    whose = f"{owner} has it now" if owner else "nobody has it now"
    return (
        f"The cell took away the place in sys.monitoring by which locks are watched ({whose}): "
        "from then on waits for locks may be missing."
    )


def lock_waits_merged(kept: int, merged: int) -> str:
    """More waits than are kept."""
    return (
        f"The first {kept:,} waits for locks are told one by one; "
        f"{count(merged, 'later one')} only counted in the totals."
    )


FUNCTIONS: dict[str, Callable[..., str]] = {
    made.__name__: made
    for made in (
        texts_cut,
        tool_is_busy,
        calls_step_back,
        tracer_evicted,
        sampler_problem,
        messages_left_out,
        still_clean_up,
        child_told_nothing,
        child_never_began,
        child_told_its_jobs,
        child_told_its_calls,
        jobs_merged,
        tool_for_locks_lost,
        lock_waits_merged,
    )
}


def problem_message(kind: str, values: tuple[object, ...]) -> str:
    """The sentence of a `Problem`. A kind of a later version is told by its name."""
    told = f"{kind}: {', '.join(map(str, values))}" if values else kind
    try:
        if kind in SENTENCES:
            sentence = SENTENCES[kind]
            return sentence.format(*values) if sentence.count("{") == len(values) else told
        return FUNCTIONS[kind](*values) if kind in FUNCTIONS else told
    except (TypeError, ValueError):  # a file of somebody else's
        return told


# Of files that cannot be read: what was expected at a place in them.
_WORDS: dict[Kind, str] = {
    "no file": "there is no such file",
    "failed": "{}",
    "too deep": "it is nested too deep",
    "too much": "it needs more memory than there is",
    "missing": "it is missing",
    "missing field": "{}: it is missing",
    "object": "expected an object",
    "list": "expected a list",
    "text": "expected a text of at most a million characters",
    "truth": "expected true or false",
    "count": "expected a whole number from 0 on",
    "core count": "expected a whole number from 1 on",
    "time": "expected a whole number of nanoseconds, of less than 13 days",
    "number": "expected a number from 0 on",
    "pair": "expected two whole numbers from 0 on",
    "id or other": "expected the id of a track, or the negative number of one that has none",
    "ids": "expected a list of ids of tracks",
    "pairs": "expected a list of pairs of whole numbers",
    "triples": "expected a list of rows of three whole numbers",
    "problems": "expected a list of texts, or of rows of a kind and its values",
    "texts": "expected a list of texts",
    "outcome": "expected how it ended: a kind, and what is known beside it",
    "outcomes and counts": "expected a list of pairs of how something ended and a whole number from 0 on",
    "word": "expected a kind: a word in small letters",
    "id": "expected the id of a track: a whole number from 0 on",
    "depth": "expected a whole number from 0 to 100,000",
    "whole numbers": "expected a list of whole numbers",
    "different names": "expected a list of different names",
    "one of": "expected one of {}",
    "row": "expected a list of {} values",
    "column": "expected {} values, as many as there are starts",
    "state row": "expected start, end, state, reason, place in the facts, file and line",
    "state value": "expected start, end, state, reason, place in the facts, file and line; {}",
    "function row": "expected name, file and line",
    "function rows": "expected a list of rows of name, file and line",
    "used id": "expected an id that no other track has",
    "no track": "expected the id of a track in this file",
    "no facts": "expected a place in this file's facts",
    "no resource": "expected the place of a resource in this file",
    "no function": "expected the place of a function in this file",
    "own ancestor": "the track is drawn under itself",
    "before its start": "expected a time that is not before the start",
    "before the last end": "expected a start that is not before the end of the one before",
    "not sorted": "expected calls sorted by track, then start",
}


def unreadable(path: object, error: UnreadableError) -> str:
    """Say why a file cannot be loaded, and how one can that is larger than is read by default."""
    match error.wrong.kind, error.wrong.values:
        case "too large", (int() | float() as limit_mb,):
            return (
                f"{path} holds more than {limit_mb:g} MB, which may be a mistake or meant to fill the memory; "
                f"concmagic.load(path, limit_mb={2 * limit_mb:g}) reads twice as much."
            )
        case "later format", (number,):
            return f"This trace was saved by a later concmagic (format {number}); install that version to read it."
    return f"{path} is no trace that concmagic saved as .json or .json.gz ({wrong_place(error)})."


def wrong_place(error: UnreadableError) -> str:
    """Say where in a saved file something is wrong, and what."""
    words = _words_of(error.wrong)
    return f"{error.place}: {words}" if error.place else words


def _words_of(wrong: Wrong) -> str:
    from concmagic.model.reading import Wrong

    values = (_words_of(value) if isinstance(value, Wrong) else str(value) for value in wrong.values)
    return _WORDS[wrong.kind].format(", ".join(values))


def saved(path: object) -> str:
    """Say where a trace was written."""
    return f"Saved {path}"


def not_saved(path: object, error: BaseException) -> str:
    """Say why --save wrote nothing."""
    return f"concmagic could not save {path} ({type(error).__name__}: {error})."


PANDAS_IS_MISSING = "This needs pandas: %pip install 'concmagic[pandas]'."


def no_such_table(table: str, tables: list[str]) -> str:
    """Say which tables there are."""
    return f"There is no table {table!r}; there are {', '.join(tables)}."


def no_such_suffix(name: str, suffixes: list[str]) -> str:
    """Say which files a trace can be saved as."""
    return f"A trace cannot be saved as {name!r}; the suffix says how: {' '.join(suffixes)}."
