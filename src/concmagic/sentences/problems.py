"""What is missing of a recording, and why: one function for each kind of `Problem`, whose values it takes."""

from __future__ import annotations

from concmagic.sentences.children import ended_how
from concmagic.sentences.numbers import count, duration


def message_of(kind: str, values: tuple[object, ...]) -> str:
    """The sentence of a `Problem`. A kind of a later version is told by its name."""
    words = None if kind == message_of.__name__ or kind.startswith("_") else globals().get(kind)
    if getattr(words, "__module__", None) != __name__:
        return f"{kind}: {', '.join(map(str, values))}" if values else kind
    try:
        return str(words(*values))  # type: ignore[misc]
    except (TypeError, ValueError):  # a file of somebody else's
        return f"{kind}: {', '.join(map(str, values))}"


def as_told(sentence: str) -> str:
    """Of a file that has the sentence itself."""
    return sentence


def recorder_failed(name: str, why: str) -> str:
    """Say which source of evidence is missing, and why."""
    return f"The {name} recorder failed, its evidence is missing ({why})."


def call_not_noted(name: str, why: str) -> str:
    """Say what is missing where noting a call failed; the call itself went as ever."""
    return f"Not every call of {name} could be noted, what it would tell is missing ({why})."


def own_thread_failed(why: str) -> str:
    """Say that one of our own threads came to an end before its time; the cell ran as ever."""
    return f"A thread of concmagic's own failed, what it would have noted is missing ({why})."


def thread_not_recorded(why: str) -> str:
    """Say that a thread is missing; it ran as ever."""
    return f"One of the cell's threads could not be recorded ({why})."


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


def calls_asked_for_in_vain() -> str:
    """Calls were asked for on a build without the GIL."""
    return (
        "--detail calls recorded no calls: on a free-threaded Python it can end the kernel to stop recording them; "
        "states are whole."
    )


def earlier_recording_goes_on() -> str:
    """The recording of calls of another cell could not be ended."""
    return "The recording of an earlier cell's calls could not be ended: there are none here."


def tool_is_busy(name: str, is_hook: bool) -> str:
    """Another tool recorded calls in this process when the cell began, and goes on."""
    who = f"The profile hook {name}" if is_hook else name
    return f"{who} was recording calls when the cell began, and only one tool can: there are none here."


def no_place_for_calls() -> str:
    """No tool number is free in `sys.monitoring`."""
    return "Other tools have taken every place in sys.monitoring: calls are not recorded."


def calls_step_back(taker: str) -> str:
    """The cell asked for the number in sys.monitoring at which calls were recorded."""
    if not taker:
        return "The cell freed the tool in sys.monitoring that recorded calls: there are none from then on."
    return (
        f"{taker} took the place in sys.monitoring at which calls were recorded: there are none from then on."
    )


def native_calls_not_recorded(flaw: str) -> str:
    """This VizTracer's memory is not as expected, so its events are read the slow, safe way."""
    return (
        f"Native calls were not recorded: this VizTracer lays out its memory in a way "
        f"that is not known here ({flaw}). Python functions were."
    )


def first_calls_overwritten() -> str:
    """The ring of events went round."""
    return "More calls were made than fit, and the first of them were overwritten."


def tracer_evicted(name: str, is_hook: bool) -> str:
    """The cell itself used a profiler; up to Python 3.11 a thread has room for one."""
    who = f"the profile hook {name}" if is_hook else name or "another profiler"
    return f"The cell used {who}, which ended the recording of calls."


def calls_no_longer_watched(why: str) -> str:
    """The thread that looks how much has been recorded failed."""
    return f"The watch over how many calls were recorded failed ({why}): none were recorded from then on."


def tracer_gave_up() -> str:
    """VizTracer ends by itself when a return does not fit its stack of calls."""
    return (
        "VizTracer lost track of the call stack (code that switches stacks, such as greenlets, "
        "does that, and a signal's handler that raises) and recorded no calls from then on."
    )


def threads_not_reached() -> str:
    """Python 3.11 without the C function that sets another thread's profile function."""
    return "Threads that were there before the cell could not be reached: their calls were not recorded."


def no_sampler_here() -> str:
    """This system has no /proc."""
    return (
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


def sampler_stopped() -> str:
    """The helper process stood still for too long."""
    return (
        "The sampler's process had been stopped from outside (SIGSTOP or a debugger) and was given up: "
        "what only it sees is unknown in this cell. The next cell has a new one."
    )


def sampler_lost(why: str) -> str:
    """The helper process did not start, did not answer or has died."""
    return f"The sampler was lost ({why}): what only it sees is unknown in this cell."


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


def child_never_started(name: str, why: str) -> str:
    """Say that a child could not start."""
    return f"{name} could not start: {why}"


def child_left_running(name: str) -> str:
    """Say what is missing of a child that has outlived its cell."""
    return f"{name} was still running when the cell ended: its calls and threads are not here."


def child_of_earlier_cell(name: str) -> str:
    """Say what is missing of a worker that no traced cell has started."""
    return f"{name} was started before this cell: its calls and jobs are not here."


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


def ends_not_watched(why: str) -> str:
    """Nothing of ours waits for the end of children, because it could not be started."""
    return (
        f"The ends of child processes are told late, or not at all: nothing could be started to watch for them "
        f"({why})."
    )


def end_not_heard(why: str) -> str:
    """A child has nothing of ours that listens."""
    return (
        f"What a child did is missing if it was terminated or outlived the cell: nothing could be started in it "
        f"to listen ({why})."
    )


def child_busy_with_us() -> str:
    """A child waited for us for too long, and went on without."""
    return "What one of the children did is missing: its recorders did not come to an end."


def child_did_not_answer(name: str) -> str:
    """Say what is here of a child that went on, and was too busy to hand over the rest."""
    return (
        f"{name} was still running when the cell ended: its calls are here as far as it had handed them over."
    )


def evidence_unreadable(what: str, why: str) -> str:
    """Say which evidence could not be read."""
    return f"The recorded {what} could not be read ({why})."


def jobs_merged(
    kept: int, later: int, outcomes: tuple[tuple[str, int], ...], running_ns: int, queued_ns: int
) -> str:
    """More jobs of pools than are kept one by one."""
    from concmagic.model.outcomes import outcome_of  # late: a child has sentences, too

    done = sum(many for _, many in outcomes)
    told = f"{count(done, 'later one')} merged, with exact sums: they ran {duration(running_ns)} in all"
    told += f" and were queued for {duration(queued_ns)}" if queued_ns else ""
    failed = sorted(one for one in outcomes if outcome_of(one[0]).kind == "raised")
    told += "".join(f", {many:,} {outcome}" for outcome, many in failed)
    left = f"; {later - done:,} did not end" if later > done else ""
    return f"Of {count(kept + later, 'job')} of pools the first {kept:,} are told one by one, {told}{left}."


def no_tool_for_locks() -> str:
    """No tool number is free in `sys.monitoring`."""
    return "Other tools have taken every place in sys.monitoring: which lock a thread waited for is not recorded."


def tool_for_locks_lost(owner: str) -> str:
    """Say that the cell gave our place in sys.monitoring up."""
    whose = f"{owner} has it now" if owner else "nobody has it now"
    return (
        f"The cell took away the place in sys.monitoring by which locks are watched ({whose}): "
        "from then on waits for locks may be missing."
    )


def locks_of_with_unseen() -> str:
    """Frames of this Python are not laid out as expected."""
    return "This Python's frames cannot be read: locks taken by `with` are known from samples only."


def look_at_locks_failed(why: str) -> str:
    """Where threads stand could not be seen at a moment."""
    return f"A look at where the threads stand failed: who waited for which lock then is not known ({why})."


def locks_no_longer_watched(operations: int) -> str:
    """So many takings and lettings go that watching them would have cost too much."""
    return (
        f"After {operations:,} operations on locks they were no longer watched one by one: "
        "from then on waits for locks come from samples."
    )


def lock_waits_merged(kept: int, merged: int) -> str:
    """More waits than are kept."""
    return (
        f"The first {kept:,} waits for locks are told one by one; "
        f"{count(merged, 'later one')} only counted in the totals."
    )


def tasks_lost(why: str) -> str:
    """The recording of tasks has failed."""
    return f"Recording asyncio's tasks stopped in the middle of the cell ({why})."


def foreign_loop_unseen(package: str, why: str) -> str:
    """Loops of this package, such as uvloop's, cannot be observed."""
    return f"The tasks on loops of this {package} could not be recorded ({why})."


def hook_replaced(name: str) -> str:
    """The cell has replaced what was in place of a function of asyncio's."""
    return f"Something else replaced asyncio's {name} during the cell and was left in place."


def runner_failed(why: str) -> str:
    """Say that what of ours runs a cell has failed; the cell ran, or its end is told, as ever."""
    return (
        f"What concmagic puts around a cell to run it failed ({why}): "
        "interrupts, --timeout and loops of the cell's own may not have worked as they do elsewhere."
    )


def unknown_kind(kind: str) -> str:
    """A kind of track, state or arrow that a later version has saved."""
    return f"A later concmagic has saved what this one does not know: {kind}."
