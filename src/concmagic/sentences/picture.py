"""Words of the picture, drawn and as text: lanes, tracks and how they ended, what was merged or left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from concmagic.sentences.numbers import byte_count, count, duration, percent

if TYPE_CHECKING:
    from concmagic.model.trace import Function, LoopSteps, Named, Outcome, Trace, Track
    from concmagic.problems import Problem


WHERE_IT_WENT = "where it went"


def more_lanes(how_many: int, kind: str) -> str:
    """Name a fold beside lanes that stay."""
    return f"+ {how_many:,} more {_plural(how_many, kind)}"


def all_lanes(how_many: int, kind: str) -> str:
    """Name a fold of a whole family."""
    return f"{how_many:,} {_plural(how_many, kind)}"


def helpers(how_many: int) -> str:
    """Name the fold of what no user made."""
    return f"+ {count(how_many, 'helper')}"


def failed_of(how_many: int) -> str:
    """Say at a fold's end that some of it failed."""
    return f"{how_many:,} failed"


def spread(lengths_ns: list[int]) -> str:
    """Say how long the lanes of a fold took: median, slow ones, slowest."""
    ordered = sorted(lengths_ns)
    picked = [duration(ordered[round((len(ordered) - 1) * share)]) for share in (0.5, 0.95, 1)]
    units = {text.rpartition(" ")[2] for text in picked}
    p50, p95, most = (
        [text.rpartition(" ")[0] for text in picked[:2]] + picked[2:] if len(units) == 1 else picked
    )
    return f"p50 {p50} · p95 {p95} · max {most}"


def job_words(job: str, state: str) -> str:
    """Say which job a worker was at: "n=5, running line 4", "n=5, sleep 0.1 s"."""
    return f"{job}, {state}"


def job_queued(words: str, queued_ns: int) -> str:
    """Say how long a job had waited for a worker."""
    return f"{words}, queued {duration(queued_ns)}"


def place(file: str, line: int) -> str:
    """Say where: "line 4" of this cell, "In[12]:4", "db.py:88"."""
    if not line:
        return file
    return f"{file}:{line}" if file else f"line {line}"


def merged_note(stretches: int, shown_from_ns: float) -> str:
    """Say that the picture is coarser than the recording."""
    what = count(stretches, "stretch", "stretches")
    return f"{what} shorter than {duration(shown_from_ns)} are drawn merged, as shares; all sums are exact."


def folded_note(shown_from_ns: float) -> str:
    """Say that lanes within folds are drawn coarser still."""
    return f"Within folds, stretches shorter than {duration(shown_from_ns)} are drawn as shares."


def typical(length: str) -> str:
    """Name a stretch that is drawn larger, because turns are too short to be seen in the whole."""
    return f"a typical {length}"


def lanes_left_out(how_many: int) -> str:
    """Say that lanes are in sums and folds only."""
    return f"{count(how_many, 'lane')} can be seen only within their fold: save the trace to see each."


def calls_left_out(tracks: int) -> str:
    """Say that some lanes of a fold do not show their calls."""
    lanes = count(tracks, "lane")
    return f"The calls of {lanes} within folds are not in the picture: save the trace to see them."


def calls_of(track: str) -> str:
    """Name the line of a track's calls in a viewer."""
    return f"{track}: calls"


def picture_alt(headline: str, numbers: str) -> str:
    """The picture for one who cannot see it."""
    return f"Timeline. {headline} {numbers}".strip()


def _plural(how_many: int, kind: str) -> str:
    plural = "processes" if kind == "process" else f"{kind}s"
    return kind if how_many == 1 else plural


PRINTED = "printed"  # a tick on the lane that did
NO_LANES = "Nothing ran that has a lane of its own."


def more_findings(how_many: int) -> str:
    """Say that the picture shows the costliest findings only."""
    return f"+ {count(how_many, 'more finding')}"


def band_label(length_ns: int, text: str) -> str:
    """A part of the band: how long, and what."""
    return f"{duration(length_ns)} {text}".rstrip()


def total(length_ns: int) -> str:
    """A sum in the legend; "" where nothing was summed."""
    return duration(length_ns) if length_ns else ""


def band_part(length_ns: int, text: str, total_ns: int) -> str:
    """A part of the band in the list of all: what, how long, and how much of all."""
    share = percent(length_ns / total_ns) if total_ns else ""
    return " · ".join(word for word in (text, duration(length_ns), share) if word)


def peak_of(peak: int, of: int) -> str:
    """The highest value of a curve, of a ceiling where there is one."""
    return f"at most {peak:,} of {of:,}" if of else f"at most {peak:,}"


# What the script of the picture says; {x} is filled in there.


class TrackWords:
    """What tracks are called and how they ended, in words; with the names of one trace."""

    def __init__(self, trace: Trace, named: Named) -> None:
        self._names = named.names
        self._loops = {one.track: one for one in trace.loops}
        self._groups = {one.track: one for one in trace.groups}

    def name(self, track: Track) -> str:
        """What its lane is called; of many alike tasks with their number: "fetch × 90,000"."""
        group = self._groups.get(track.id)
        return track.name if group is None else group_of_tasks(track.name, group.members)

    def detail(self, track: Track) -> str:
        """What is said beside how it ended: the exception, who cancelled it; of a loop its longest step."""
        loop, group = self._loops.get(track.id), self._groups.get(track.id)
        if loop is not None:
            return of_loop(loop, self._name(loop.longest_of))
        error = track.outcome.message
        if group is not None:
            error = all_outcomes(group.outcomes, error)
        if track.problems:
            return start_failed(track.problems)
        who = CANCELLERS.get(track.stopped_by, "") or self._name(track.cancelled_by)
        return error or (f"by {who}" if who else "")

    def raised_in(self, track: Track) -> str:
        """The traceback of a task, in one line; those of threads stand in their findings."""
        return raised_in(track.outcome.traceback) if track.kind == "task" else ""

    def _name(self, who: int | None) -> str:
        return "" if who is None else self._names.get(who, "")


def of_loop(steps: LoopSteps, whose: str) -> str:
    """The longest step of a loop, and how long its tasks were ready before theirs."""
    told = f"longest step {duration(steps.longest_ns)}" + (f" ({whose})" if whose else "")
    p50, p99, most = steps.delay_p50_ns, steps.delay_p99_ns, steps.delay_max_ns
    if p50 is None or p99 is None or most is None:
        return told
    return f"{told} · ready before a step: p50 {duration(p50)}, p99 {duration(p99)}, at most {duration(most)}"


def start_failed(problems: Sequence[Problem]) -> str:
    """Why a process never ran what it was started for."""
    return "; ".join(problem.message.rstrip(".") for problem in problems)


# What cancels tasks and has no name.
CANCELLERS = {
    "interrupt": "the interrupt",
    "timeout": "--timeout",
    "timer": "a timer",
    "callback": "a callback",
}


def raised_in(functions: Sequence[Function]) -> str:
    """A traceback in one line, the innermost function first."""
    return ", called at ".join(f"{place(one.file, one.line)} in {one.name}" for one in reversed(functions))


def group_of_tasks(name: str, members: int) -> str:
    """The name of many alike tasks that are one lane: "fetch × 90,000"."""
    return f"{name} × {members:,}" if members > 1 else name


def all_outcomes(outcomes: Sequence[tuple[Outcome, int]], exception: str) -> str:
    """How many of many tasks ended how, where that differs: "12 raised ValueError, 3 returned: …"."""
    if len(outcomes) < 2:
        return exception
    told = ", ".join(f"{many:,} {outcome}" for outcome, many in outcomes)
    return f"{told}: {exception}" if exception else told


def message(size: int, pickled_ns: int) -> str:
    """What was sent: "3.2 MB, pickled in 12 ms"."""
    pickled = f", pickled in {duration(pickled_ns)}" if pickled_ns >= 100_000 else ""
    return f"{byte_count(size)}{pickled}"


def in_function(file: str, line: int, function: str) -> str:
    """One step of a traceback."""
    where = f"{file}:{line}" if file else f"line {line}"
    return where if function in ("", "<module>") else f"{where} in {function}"


def way_to(functions: Sequence[Function]) -> str:
    """A traceback in one line: "line 9 in work → line 5 in parse"."""
    return " → ".join(in_function(one.file, one.line, one.name) for one in functions)


def gil_share(contended: float) -> str:
    """What stands at the end of the GIL's lane."""
    return f"contended {percent(contended)}"


def jobs_in_one(label: str, many: int) -> str:
    """Several jobs that are told as one, by the first of them."""
    return label if many == 1 else f"{label} + {many - 1:,} more"


def of_thread(native_id: int, daemon: bool, switches: tuple[int, int] | None) -> str:
    """What the operating system knows of a thread."""
    kind = "daemon thread" if daemon else "thread"
    if switches is None:
        return f"{kind} {native_id}"
    gave_up, lost = switches
    return f"{kind} {native_id}, left its core {count(gave_up, 'time')} by itself and lost it {count(lost, 'time')}"


def at_place(file: str, line: int) -> str:
    """Where it was, with "at" before it; "" if it is not known."""
    return f" at {place(file, line)}" if line else ""
