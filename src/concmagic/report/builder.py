"""From a Trace, its Metrics and Findings to the Report that the renderers draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isnan

from concmagic import sentences
from concmagic.analysis import Finding
from concmagic.analysis.concurrency import gil_waits, on_a_core_curve
from concmagic.analysis.critical_path import kind_of, summarised
from concmagic.analysis.intervals import Steps, total, union
from concmagic.analysis.metrics import NATIVE_CORES, Metrics, in_flight_curve
from concmagic.model.categories import Category, category
from concmagic.model.columns import columns_of
from concmagic.model.reasons import told_as
from concmagic.model.trace import Job, Named, State, Trace, Track
from concmagic.report import BandPart, CategoryTotal, Chip, Curve, LaneSummary, Report, Stretch, Stuck
from concmagic.report.headline import BUSY_MACHINE, TOO_SHORT_NS, headline, says_nothing_found
from concmagic.report.stuck import stuck_waits

HIGH_COST = 0.10
SAMPLING_NS = 2_000_000  # between two samples, where the machine has cores to spare
_LEAST_NS = 50 * SAMPLING_NS  # a shorter cell has no rate worth telling
_LEAST_TURNS = 0.1  # of the cell: who only sleeps can be looked at seldom
_MOST_PARTS = 5
_SOON_NS = 50_000_000  # after the last call that was recorded
_WORTH_SAYING = 0.1  # share of a lane's life from which on a state is said
_MAIN_REASON = 0.8  # of all waits: then it alone is said
# Neither well nor badly: stopped from outside, or not over.
_ENDED_NEITHER = ("unknown", "cancelled", "left running", "interrupted", "timed out", "destroyed", "ended")


def build_report(
    trace: Trace,
    metrics: Metrics,
    findings: Sequence[Finding],
    question: str = "",
    note: str = "",
    first: str = "",
) -> Report:
    """All that is drawn of one trace. `note` is a sentence for the footer, `first` one that answers alone."""
    cost, is_high = _cost(trace, metrics)
    own = tuple(finding for finding in findings if finding.lint != BUSY_MACHINE)
    stuck = tuple(stuck_waits(trace, findings))
    is_clean = not own and not first and says_nothing_found(trace, metrics)
    return Report(
        trace=trace,
        headline=first or headline(trace, metrics, findings),
        chips=(_concurrency(metrics), _parallelism(metrics), *_busy_machine(findings)),
        findings=own,
        no_findings=sentences.NO_FINDINGS if is_clean else "",
        band=_band(metrics),
        curves=(
            _curve(sentences.IN_FLIGHT, in_flight_curve(trace)),
            _curve(sentences.ON_A_CORE, on_a_core_curve(trace)),
        ),
        lanes=lane_summaries(trace),
        legend=_legend(trace, metrics, stuck),
        cost=cost,
        cost_is_high=is_high,
        footer=_footer(trace, metrics, note),
        stuck=stuck,
        question=question,
    )


def _concurrency(metrics: Metrics) -> Chip:
    kinds = [kind for kind in metrics.unit_kinds if kind != "cell"]
    note = sentences.at_most_units(metrics.unit_peak or metrics.concurrency_peak, kinds)
    if metrics.unit_peak and metrics.concurrency_peak > metrics.unit_peak:
        note = sentences.and_the_cell(note)
    value = sentences.number(metrics.concurrency)
    return Chip("concurrency", value, note, sentences.CONCURRENCY_HELP)


def _parallelism(metrics: Metrics) -> Chip:
    from_clock = metrics.parallelism_source != "states"
    note = sentences.at_most_cores(metrics.parallelism_peak, metrics.cores, certain=not from_clock)
    if _uses_native_threads(metrics):
        note = sentences.cores_of_native_threads(metrics.native_threads, metrics.cores)
    help_text = sentences.PARALLELISM_FROM_CLOCK if from_clock else sentences.PARALLELISM_HELP
    return Chip("parallelism", sentences.number(metrics.parallelism), note, help_text)


def _uses_native_threads(metrics: Metrics) -> bool:
    return metrics.native_threads >= NATIVE_CORES  # not where it is not known


def _busy_machine(findings: Sequence[Finding]) -> Iterator[Chip]:
    """What other programs took, where that is worth telling."""
    for finding in findings:
        if finding.lint == BUSY_MACHINE:
            lost = sentences.duration(round(finding.cost_s * 1e9))
            yield Chip(sentences.BUSY_MACHINE, lost, sentences.WITHOUT_A_CORE, finding.hint)


def _band(metrics: Metrics) -> tuple[BandPart, ...]:
    """The path by what it was, longest first; small parts together. With what is ours it is the wall time."""
    where: dict[tuple[State, str], list[Stretch]] = {}
    for one in metrics.path:
        if one.track is not None:
            where.setdefault(kind_of(one), []).append(Stretch(one.track, one.start_ns, one.end_ns))
    parts = [
        BandPart(
            sentences.path_words(part.state.value, part.reason, part.phase),
            category(part.state, part.reason),
            length,
            tuple(where.get(kind_of(part), ())),
        )
        for part, length in summarised(metrics.path)
        if part.state is not State.TRACING
    ]
    rest = parts[_MOST_PARTS:]
    if len(rest) > 1:
        stretches = sorted((one for part in rest for one in part.stretches), key=lambda one: one.start_ns)
        length = sum(part.length_ns for part in rest)
        parts[_MOST_PARTS:] = [BandPart(sentences.OTHER_PARTS, rest[0].category, length, tuple(stretches))]
    return tuple(parts)


def _curve(label: str, steps: Steps) -> Curve:
    return Curve(label, tuple(steps.times_ns.tolist()), tuple(steps.values.tolist()))


def _legend(trace: Trace, metrics: Metrics, stuck: Sequence[Stuck]) -> tuple[CategoryTotal, ...]:
    """All categories that are drawn; those that only tracks have which are not counted have no length."""
    sums = {one: round(seconds * 1e9) for one, seconds in metrics.by_category.items()}
    if stuck:
        sums[Category.STUCK] = sum(one.end_ns - one.start_ns for one in stuck)
        sums[Category.EACH_OTHER] = sums.get(Category.EACH_OTHER, 0) - sums[Category.STUCK]
    drawn = {one for code, one in enumerate(Category) if code in columns_of(trace).category}
    if stuck and not sums[Category.EACH_OTHER]:  # all such waits are drawn as those of the deadlock
        drawn.discard(Category.EACH_OTHER)
    labels = sentences.CATEGORY_LABELS
    return tuple(
        CategoryTotal(one, labels[one.value], max(sums.get(one, 0), 0))
        for one in Category
        if one in drawn or sums.get(one, 0) > 0
    )


def _cost(trace: Trace, metrics: Metrics) -> tuple[str, bool]:
    if isnan(metrics.cost_share):
        return "", False
    if trace.wall_ns < TOO_SHORT_NS:
        return sentences.tracing_cost_of_short(metrics.cost_s), False
    return sentences.tracing_cost(metrics.cost_share), metrics.cost_share > HIGH_COST


def _loop(metrics: Metrics) -> str:
    """The event loop in numbers; "" where none ran."""
    if isnan(metrics.loop_idle):
        return ""
    shares = metrics.loop_computing, metrics.loop_blocked, metrics.loop_kept, metrics.loop_idle
    delays = metrics.loop_delay_p50_s, metrics.loop_delay_p99_s, metrics.loop_delay_max_s
    place = sentences.place(*metrics.loop_longest_step_place)
    whose = ", ".join(word for word in (metrics.loop_longest_step_name, place) if word)
    return sentences.loop_numbers(shares, metrics.loop_longest_step_s, whose, delays)


def _handovers(trace: Trace, metrics: Metrics) -> str:
    """Said where the GIL has a lane."""
    per_second = metrics.gil_handovers_per_s
    if isnan(per_second) or not any(track.kind == "gil" for track in trace.tracks):
        return ""
    return sentences.gil_handovers(per_second * trace.wall_s, per_second)


def _sampling(trace: Trace, metrics: Metrics) -> str:
    """Said where threads took turns and were looked at less than half as often as is wanted."""
    period_ns, asked_ns = trace.build.sampling_ns, trace.build.sampling_asked_ns
    threads = [track for track in trace.tracks if track.kind == "thread" and track.role == "work"]
    if min(period_ns, asked_ns) <= 0 or period_ns <= 2 * SAMPLING_NS or len(threads) < 2:
        return ""
    turns_s = metrics.running_s + metrics.ready_s
    if trace.wall_ns < _LEAST_NS or turns_s < _LEAST_TURNS * trace.wall_s:
        return ""
    return sentences.sampled_seldom(1e9 / period_ns, 1e9 / asked_ns, 1e9 / SAMPLING_NS)


def _calls(trace: Trace) -> str:
    """Until when there are calls, if not to the end. An interrupt ends them, and then the cell."""
    if trace.cost.calls_impossible:
        return sentences.CALLS_NOT_RECORDED
    until_ns = trace.cost.calls_until_ns
    if until_ns is None or (trace.outcome.kind == "interrupted" and trace.wall_ns - until_ns < _SOON_NS):
        return ""
    return sentences.calls_kept(until_ns)


def _grouped(trace: Trace) -> str:
    members = sum(group.members for group in trace.groups)
    return sentences.tasks_grouped(members, len(trace.groups)) if members else ""


def _footer(trace: Trace, metrics: Metrics, note: str) -> tuple[str, ...]:
    """Whole sentences: numbers of the event loop; what is not in the picture, and why."""
    said = [
        note,
        _loop(metrics) if trace.model == "asyncio" else "",
        sentences.hidden_tracks(trace.hidden.threads, trace.hidden.tasks),
        sentences.of_earlier_cells(
            trace.hidden.earlier_threads, trace.hidden.earlier_tasks, trace.hidden.earlier_cpu_ns
        ),
        _calls(trace),
        "" if (until_ns := trace.cost.counted_until_ns) is None else sentences.counted_until(until_ns),
        sentences.steps_without_calls(lost) if (lost := trace.cost.steps_without_calls) else "",
        sentences.steps_merged(trace.cost.merged) if trace.cost.merged else "",
        _grouped(trace),
        sentences.native_threads(metrics.native_threads) if _uses_native_threads(metrics) else "",
        _handovers(trace, metrics),
        sentences.NO_GIL if trace.build.free_threaded else "",
        _sampling(trace, metrics),
        *(problem.message for problem in trace.cost.problems),
    ]
    return tuple(dict.fromkeys(sentence for sentence in said if sentence))


def lane_summaries(trace: Trace) -> tuple[LaneSummary, ...]:
    """The text and the sign at each lane's end."""
    jobs: dict[int, list[Job]] = {}
    for job in trace.jobs:
        if job.track is not None:
            jobs.setdefault(job.track, []).append(job)
    words = sentences.TrackWords(trace, Named.of(trace))
    return tuple(_summary(trace, track, words.name(track), jobs.get(track.id, ())) for track in trace.tracks)


def _summary(trace: Trace, track: Track, name: str, jobs: Sequence[Job]) -> LaneSummary:
    ok = _ok(track)
    if track.outcome.kind not in ("returned", "unknown"):
        return LaneSummary(track.id, name, str(track.outcome), ok)
    failed = [job for job in jobs if job.outcome.kind == "raised"]
    if failed and track.kind != "task":  # a worker goes on, whatever its jobs raise
        ends: Counter[str] = Counter()  # by the type of the exception
        for job in failed:
            ends[job.outcome.error] += max(job.failed, 1)
        words = sentences.jobs_raised(ends, failed[0].label, sum(job.count for job in jobs))
        return LaneSummary(track.id, name, words, False)
    return LaneSummary(track.id, name, _mainly(trace, track), ok)


def _ok(track: Track) -> bool | None:
    if track.kind in ("loop", "gil"):
        return None
    if track.outcome.kind == "returned":
        return True
    is_pools = track.group and track.outcome.by == "SIGTERM"  # a pool ends its workers so
    return None if is_pools or track.outcome.kind in _ENDED_NEITHER else False


def _mainly(trace: Trace, track: Track) -> str:
    """The state worth saying: a block before a kept waiting, that before running, that before waits."""
    spent = dict.fromkeys(State, 0)
    for one in track.states:
        spent[one.state] += one.length_ns
    life = sum(spent.values())
    if not life:
        return ""
    if track.kind == "gil":
        return sentences.gil_share(_contended(trace, track) / life)
    if track.kind == "loop":
        state = State.BLOCKING if spent[State.BLOCKING] >= _WORTH_SAYING * life else State.RUNNING
        return sentences.loop_share(spent[state] / life, state.value)
    for state in (State.BLOCKING, State.READY, State.RUNNING):
        if spent[state] >= _WORTH_SAYING * life:
            return sentences.lane_text(state.value, "", spent[state])
    state = max(spent, key=lambda each: spent[each])
    reason, length = _reason(track, state)
    if length < _MAIN_REASON * spent[state]:
        reason, length = "", spent[state]
    return sentences.lane_text(state.value, reason, length)


def _contended(trace: Trace, gil: Track) -> int:
    """How long a thread of this process wanted the GIL and did not have it."""
    threads = [track for track in trace.tracks if track.kind == "thread" and track.pid == gil.pid]
    return total(union(gil_waits(*threads)))


def _reason(track: Track, state: State) -> tuple[str, int]:
    """The reason that took longest, and how long."""
    by_reason: dict[str, int] = {}
    for one in track.states:
        if one.state is state:
            reason = told_as(one.reason)
            by_reason[reason] = by_reason.get(reason, 0) + one.length_ns
    return max(by_reason.items(), key=lambda pair: pair[1])
