"""The report: headline, chips, band, footer."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING

from concmagic.sentences.numbers import count, duration, names, number, of_total, percent
from concmagic.sentences.picture import _plural
from concmagic.sentences.picture import place as place_of

if TYPE_CHECKING:
    from concmagic.model.outcomes import Outcome

IN_FLIGHT = "in flight"
ON_A_CORE = "on a core"
OTHER_PARTS = "other, each shorter"
PARTLY_RUNNING, SEVERAL = "running for a part", "several, too fine"
WAITED, COMPUTED, DID_BOTH = "waiting", "computing", "waiting and computing"
BUSY_MACHINE = "the machine was busy"
WITHOUT_A_CORE = "without a core"
CONCURRENCY_HELP = (
    "How many units of work (tasks, jobs, threads or processes) had begun and not ended, on average over "
    "the cell; one that waits for another it started does not count."
)
PARALLELISM_HELP = "How many threads or processes computed at the same instant, on average over the cell."
PARALLELISM_FROM_CLOCK = (
    "CPU time divided by wall time, because for part of the cell it was not recorded who was on a core."
)


def ended_early(outcome: Outcome, wall_ns: int) -> str:
    """How a cell ended that did not return."""
    return f"{_capital(str(outcome))} after {duration(wall_ns)}."


def failed_first(who: str, how: Outcome, at_ns: int, cancelled: list[str]) -> str:
    """Whose exception ended a cell, where it was raised, and who was cancelled for it."""
    error = how.message or how.error
    where = how.place
    at = f" ({place_of(where.file, where.line)})" if where is not None and where.line else ""
    told = f"`{who}` raised {error}{at} after {duration(at_ns)}"
    if not cancelled:
        return f"{told}."
    were = "was" if len(cancelled) == 1 else "were"
    return f"{told}; {names([f'`{name}`' for name in cancelled], 3)} {were} cancelled."


def and_more_failed(first: str, others: int) -> str:
    """What failed unnoticed, and that it was not the only one."""
    return f"{first.removesuffix('.')} ({others:,} more below)." if others else first


def nothing_happened() -> str:
    """An empty trace."""
    return "There was nothing to see in this cell."


def too_short(wall_ns: int) -> str:
    """What a cell spent so little time on is as much chance as it is the cell's."""
    return f"Too short to tell: {duration(wall_ns)}."


def computed_in_parallel(who: str, used: float, cores: int) -> str:
    """More than one core computed at once."""
    whose = f"{_plural(2, who)} computed" if who != "unit" else "the work was computed"
    return f"On average {number(used)} of {count(cores, 'core')} worked at once: {whose} side by side."


def took_turns(how_many: int, used: float, cores: int) -> str:
    """Threads that computed one at a time."""
    return f"{how_many:,} threads took turns: {number(used)} of {count(cores, 'core')} used on average."


def took_turns_on_one_core(how_many: int) -> str:
    """Threads that computed one at a time because there is one core."""
    return f"{how_many:,} threads took turns on the only core."


def overlapped(peak: int, who: str, useful_ns: float, what: str, wall_ns: int) -> str:
    """Waits and work that lay side by side; `what` is one of WAITED, COMPUTED, DID_BOTH."""
    whose = f"{count(peak, who, _plural(2, who))} at once" if who != "unit" else f"{peak:,} at once"
    return f"Up to {whose}: {duration(useful_ns)} of {what} fit into {duration(wall_ns)}."


def mostly_unknown(part_ns: int, wall_ns: int) -> str:
    """When evidence is missing, that is the answer."""
    return f"For {of_total(part_ns, wall_ns)} it was not recorded what the cell did."


def largest_part(part_ns: int, wall_ns: int, words: str, where: str, alone: bool) -> str:
    """What the cell's end waited for longest."""
    at = f", {where}" if where else ""
    one_by_one = ", one thing at a time" if alone else ""
    if words.startswith(("blocked", "ready", "in ")):
        return f"{_capital(of_total(part_ns, wall_ns))} was spent {words}{at}."
    if part_ns >= 0.99 * wall_ns:
        return f"All of its {duration(wall_ns)} went into {words}{at}{one_by_one}."
    return f"{_capital(of_total(part_ns, wall_ns))} went into {words}{at}{one_by_one}."


def part_of_it(part_ns: int, where: str) -> str:
    """Where the larger part of something lies."""
    return f"{duration(part_ns)} of it at {where}"


def and_no_core(told: str, without_ns: int) -> str:
    """That other programs took more of the cell than its own largest part."""
    return f"{told.removesuffix('.')}; for {duration(without_ns)} no core was free."


def blocked_in_places(lost_ns: float, wall_ns: int, places: int, lines: list[int]) -> str:
    """Several calls held the loop, one after the other."""
    at = f", at lines {names([str(line) for line in lines], 5)}" if len(lines) > 1 else ""
    return (
        f"For {of_total(lost_ns, wall_ns)} tasks were ready and could not run: "
        f"{count(places, 'call')} blocked the loop{at}."
    )


def at_most_units(peak: int, kinds: list[str]) -> str:
    """The note of the concurrency chip."""
    if len(kinds) == 1:
        return f"at most {peak:,} {_plural(peak, kinds[0])}"
    return f"at most {peak:,} at once"


def and_the_cell(note: str) -> str:
    """The cell itself was at work beside them."""
    return f"{note} and the cell"


def at_most_cores(peak: int, cores: int, certain: bool) -> str:
    """The note of the parallelism chip; where the peak was not seen, only the cores are told."""
    of = count(cores, "core")
    return f"at most {peak:,} of {of}" if certain else f"of {of}, from CPU time"


def cores_of_native_threads(native: float, cores: int) -> str:
    """The note where threads that Python does not know computed: when they did was not seen."""
    return f"of {count(cores, 'core')}, {number(native)} of it by native threads"


def tracing_cost(share: float) -> str:
    """What tracing took of the cell."""
    return f"tracing cost about {percent(share)}" if share >= 0.005 else "tracing cost under 1 %"


def tracing_cost_of_short(seconds: float) -> str:
    """What tracing took of a cell that is too short for a share to say anything."""
    return f"tracing cost about {duration(round(seconds * 1e9))}"


def hidden_tracks(threads: int, tasks: int) -> str:
    """Say what is left out of the picture."""
    parts = [count(n, f"{kind}") for n, kind in ((threads, "thread"), (tasks, "task")) if n]
    if not parts:
        return ""
    return (
        f"{' and '.join(parts)} of the kernel's own {'is' if threads + tasks == 1 else 'are'} hidden (--all)."
    )


def of_earlier_cells(threads: int, tasks: int, cpu_ns: int) -> str:
    """Say what earlier cells left running, and that it is not counted here."""
    parts = [count(n, kind) for n, kind in ((threads, "thread"), (tasks, "task")) if n]
    if not parts:
        return ""
    verb = "was" if threads + tasks == 1 else "were"
    computed = f", computed for {duration(cpu_ns)}" if cpu_ns >= 1_000_000 else ""
    return f"{' and '.join(parts)} of earlier cells {verb} at work beside this one{computed} (--all)."


def calls_kept(until_ns: int) -> str:
    """Say that the budget for calls was used up."""
    return f"Calls were recorded for the first {duration(until_ns)} only; states are whole."


def counted_until(until_ns: int) -> str:
    """Say that the budget of time for locks and queues was used up."""
    return (
        f"Uses of locks, queues and pipes were counted for the first {duration(until_ns)}: to watch each of "
        "them would have made the cell slower. Long waits are from samples after that."
    )


def steps_without_calls(how_many: int) -> str:
    """Say that calls are missing where an exception was thrown into a task (Python 3.11)."""
    began = f"{count(how_many, 'step')} of tasks began with an exception"
    return f"{began}: calls in there are not recorded before Python 3.12; states are whole."


def steps_merged(how_many: int) -> str:
    """Say that not every step was kept by itself."""
    return f"{count(how_many, 'short step')} of tasks were summed; totals are exact."


def tasks_grouped(how_many: int, lanes: int) -> str:
    """Say that not every task has a lane of its own."""
    which = "one lane" if lanes == 1 else f"{lanes:,} lanes"
    return f"{count(how_many, 'alike task')} share {which}; their number, times and outcomes are exact."


def native_threads(cores: float) -> str:
    """CPU time that no Python thread explains."""
    return f"Native threads (BLAS, OpenMP and the like) used {number(cores)} more cores on average."


def loop_numbers(
    shares: tuple[float, float, float, float],
    longest_s: float,
    whose: str,
    delays_s: tuple[float, float, float],
) -> str:
    """The event loop: computing, blocked and idle; its longest step; how long tasks were ready before one."""
    computing, blocked, kept, idle = (percent(share) for share in shares)
    who = f" ({whose})" if whose else ""
    without = f", {kept} without a core or the GIL" if shares[2] >= 0.01 else ""
    said = f"Event loop: {computing} computing, {blocked} blocked{without}, {idle} idle"
    said += f"; longest step {duration(longest_s * 1e9)}{who}"
    if not isnan(delays_s[2]):
        p50, p99, most = (duration(seconds * 1e9) for seconds in delays_s)
        said += f"; ready before a step for {p50} (p50), {p99} (p99), {most} at most"
    return f"{said}."


def loop_share(share: float, state: str) -> str:
    """What stands at the end of an event loop's lane."""
    return f"{percent(share)} {'blocked' if state == 'blocking' else 'busy'}"


def jobs_raised(errors: Mapping[str, int], first: str, of: int) -> str:
    """What stands at the end of a worker's lane: "raised KeyError (n=3)", "2 of 5 jobs raised KeyError"."""
    (error, *others), many = errors, sum(errors.values())
    if many == 1:
        return f"raised {error} ({first})" if first else f"raised {error}"
    return f"{many:,} of {count(of, 'job')} raised{'' if others else f' {error}'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# On a build without the GIL, in the footer.
NO_GIL = "This Python has no GIL: its threads can compute side by side."
CALLS_NOT_RECORDED = "Calls are not recorded on a free-threaded Python; states are whole."


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


def gil_handovers(times: float, per_second: float) -> str:
    """How often the GIL went to another thread."""
    return f"The GIL went to another thread {times:,.0f} times, {per_second:,.0f} times a second."
