"""Which lanes there are, where boxes stand, and what is merged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.trace_text import trace_from_text

from concmagic.analysis.metrics import compute
from concmagic.model.categories import Category, category_of
from concmagic.model.columns import StateColumns, columns_of
from concmagic.model.trace import Facts, Flow, Job, Named, State, StateInterval, Trace, Track
from concmagic.renderers import payload_lanes
from concmagic.renderers.lanes import MOST_LANES, arrange, every, visible
from concmagic.renderers.layout import JobLabels, labels_of, lay_out
from concmagic.renderers.measure import columns, fit_columns_middle, fit_middle, number_of, text_width
from concmagic.renderers.palette import ORDER
from concmagic.renderers.time_axis import merge, resolution_for, shares_over, stacked, tick_label, ticks
from concmagic.report.builder import build_report
from concmagic.sentences import StateWords
from sample_reports import (
    MS,
    SAMPLES,
    asyncio_blocker,
    many_tasks,
    process_pool,
    ten_long_tracks,
    thousand_tasks,
    track,
    two_gil_threads,
)


@pytest.mark.parametrize("name", SAMPLES)
def test_at_most_fourteen_lanes_at_first(name: str) -> None:
    shown = [lane for lane in visible(arrange(SAMPLES[name]())) if not lane.machinery]
    assert len(shown) <= MOST_LANES


def test_every_track_of_the_users_work_is_in_some_lane() -> None:
    for report in (many_tasks(), thousand_tasks(), process_pool(), asyncio_blocker()):
        drawn = {one.id for lane in every(arrange(report)) for one in lane.tracks}
        assert {one.id for one in report.trace.tracks if one.unit} <= drawn


def test_a_lone_process_and_its_lone_thread_are_no_lanes() -> None:
    names = [lane.name for lane in visible(arrange(asyncio_blocker()))]
    assert names == ["event loop", "blocker", "victim-0", "victim-1", "victim-2"]


def test_tasks_are_indented_under_their_loop() -> None:
    lanes = visible(arrange(asyncio_blocker()))
    assert [lane.depth for lane in lanes] == [0, 1, 1, 1, 1]


def test_a_fold_keeps_the_three_slowest() -> None:
    lanes = visible(arrange(many_tasks()))
    tasks = [lane for lane in lanes if lane.tracks[0].kind == "task"]
    assert [lane.is_fold for lane in tasks] == [False, False, False, True]
    shown = {lane.tracks[0].id for lane in tasks[:3]}
    lengths = {
        one.id: (one.end_ns or 0) - one.start_ns for one in many_tasks().trace.tracks if one.kind == "task"
    }
    slowest = sorted(lengths.values())[-3:]
    assert sorted(lengths[number] for number in shown) == slowest
    assert tasks[3].name == "+ 297 more tasks"


def test_machinery_is_folded_to_helpers() -> None:
    last = visible(arrange(process_pool()))[-1]
    assert last.name == "+ 4 helpers" and last.is_fold and len(last.children) == 4
    assert visible(arrange(two_gil_threads()))[-1].name == "+ 1 helper"


def test_work_under_machinery_stays() -> None:
    names = [lane.name for lane in visible(arrange(process_pool()))]
    assert names == ["worker 0", "worker 1", "worker 2", "worker 3", "+ 4 helpers"]


def test_a_child_with_one_thread_has_one_lane_and_with_two_three() -> None:
    report = process_pool()
    second = track(12, "thread", "second", 10, 200, [("R", 100)])
    trace = replace(report.trace, tracks=(*report.trace.tracks, second))
    lanes = visible(arrange(replace(report, trace=trace)))
    assert [lane.name for lane in lanes][:4] == ["worker 0", "MainThread", "second", "worker 1"]
    assert [one.id for one in lanes[3].told_too] == [21]


def test_a_fold_says_how_many_failed() -> None:
    report = many_tasks()
    bad = {one.id for one in report.trace.tracks[40:45]}
    summaries = tuple(replace(one, ok=False) if one.track in bad else one for one in report.lanes)
    fold = visible(arrange(replace(report, lanes=summaries)))[-1]
    assert fold.ok is False and fold.text == "5 failed"


def test_a_long_chain_of_parents_is_no_deep_recursion() -> None:
    report = asyncio_blocker()
    chain = tuple(track(i, "task", f"t{i}", i - 1 if i else None, i, [("R", 1)]) for i in range(3_000))
    lanes = every(arrange(replace(report, trace=replace(report.trace, tracks=chain))))
    assert {one.id for lane in lanes for one in lane.tracks} == set(range(3_000))
    assert max(lane.depth for lane in lanes) <= 4


def test_boxes_stand_where_their_times_are() -> None:
    layout = lay_out(asyncio_blocker(), 100, 452)  # 1 ms is 1 pixel
    blocker = layout.rows[1]
    held = next(box for box in blocker.boxes if box.category is Category.BLOCKING)
    assert held.x == pytest.approx(100 + 0.4 + 0.8 + 0.3 + 19.5, abs=0.01)
    assert held.width == pytest.approx(300, abs=0.01)
    assert held.labels[0] == "blocking the loop: time.sleep line 4"


def test_boxes_of_a_lane_do_not_overlap() -> None:
    for name in SAMPLES:
        for row in lay_out(SAMPLES[name](), 0, 600).rows:
            for one, after in zip(row.boxes, row.boxes[1:], strict=False):
                assert one.x + one.width <= after.x + 1e-6


def test_merged_spans_keep_the_exact_sums() -> None:
    worker = ten_long_tracks().trace.tracks[1]
    spans = merge(StateColumns.of([worker]), 5 * MS)[0]
    assert len(spans) < 40 and sum(span.merged for span in spans) == len(worker.states)
    for code, one in enumerate(ORDER):
        exact = sum(i.length_ns for i in worker.states if category_of(i) is one)
        drawn = sum(span.shares[code] * (span.end_ns - span.start_ns) for span in spans)
        assert drawn == pytest.approx(exact, rel=1e-9)


def test_long_intervals_are_never_merged() -> None:
    blocker = asyncio_blocker().trace.tracks[3]
    spans = merge(StateColumns.of([blocker]), 5 * MS)[0]
    kept = [span.interval.state for span in spans if span.interval is not None]
    assert State.BLOCKING in kept


def test_the_resolution_gives_at_most_so_many_spans() -> None:
    columns = columns_of(ten_long_tracks().trace)
    wall = ten_long_tracks().trace.wall_ns
    resolution = resolution_for(columns, wall, 500, 1)
    assert sum(map(len, merge(columns, resolution))) <= 500


def test_shares_over_bins_are_exact() -> None:
    one = track(1, "thread", "t", None, 0, [("R", 3), ("W", 4), ("R", 3)])
    sums = shares_over(StateColumns.of([one]), np.array([0, 5 * MS, 10 * MS], float))
    assert sums[ORDER.index(Category.RUNNING)].tolist() == [3 * MS, 3 * MS]
    assert sums[ORDER.index(Category.OUTSIDE)].tolist() == [2 * MS, 2 * MS]


def test_a_stack_of_tracks_shows_how_many_are_there() -> None:
    long = track(1, "thread", "a", None, 0, [("R", 10)])
    short = track(2, "thread", "b", None, 0, [("W", 5)])
    first, last = stacked(StateColumns.of([long, short]), 10 * MS, 2)
    assert sum(first.shares) == pytest.approx(1) and sum(last.shares) == pytest.approx(0.5)


def words_of(*tracks: Track) -> StateWords:
    return StateWords(Named.of(Trace("drawn", "threads", 9, tracks)))


def test_labels_get_shorter() -> None:
    words = words_of(track(1, "thread", "worker-1", None))
    held = StateInterval(0, 9, State.READY, "GIL", Facts(holders=(1,)), "", 4)
    labels = labels_of(held, words)
    assert labels == ("ready, GIL held by worker-1", "ready, GIL", "ready")
    asleep = StateInterval(0, 9, State.WAITING, "sleep", Facts(delay_ns=500 * MS), "", 3)
    waiting = labels_of(asleep, words)
    assert waiting == ("sleep 0.5 s", "sleep", "waiting")


def test_a_worker_is_labelled_with_its_job() -> None:
    jobs = JobLabels((Job(0, "n=7", 3, 0, 10, 20), Job(1, "n=8", 3, 0, None, None)))
    inside, outside = StateInterval(12, 18, State.RUNNING), StateInterval(22, 30, State.RUNNING)
    assert [jobs.at(*place).label for place in ((3, inside), (3, outside), (4, inside))] == ["n=7", "", ""]
    assert labels_of(inside, words_of(), jobs.at(3, inside))[0] == "n=7, running"


def test_a_job_that_waits_is_labelled_too_and_says_how_long_it_was_queued() -> None:
    job = Job(0, "f(7)", 3, 0, 300 * MS, 500 * MS)
    sleeping = StateInterval(310 * MS, 490 * MS, State.WAITING, "sleep", Facts(delay_ns=200 * MS))
    labels = labels_of(sleeping, words_of(), JobLabels((job,)).at(3, sleeping))
    assert labels[:3] == ("f(7), sleep 0.2 s, queued 300 ms", "f(7), sleep 0.2 s", "sleep 0.2 s")
    at_once = replace(job, submit_ns=300 * MS)
    assert labels_of(sleeping, words_of(), JobLabels((at_once,)).at(3, sleeping))[0] == "f(7), sleep 0.2 s"


def test_a_lane_named_after_its_only_job_needs_no_label() -> None:
    named = track(3, "task", "n=7", None, 0, [("R", 30)])
    jobs = JobLabels((Job(0, "n=7", 3, 0, 10, 20),), (named,))
    assert jobs.at(3, StateInterval(12, 18, State.RUNNING)).label == ""


def test_names_are_shortened_in_their_middle() -> None:
    siblings = [f"ThreadPoolExecutor-{pool}_{worker}" for pool in (0, 1) for worker in (0, 1)]
    shown = [fit_middle(name, 100, 13) for name in siblings]
    assert len(set(shown)) == 4 and all(
        name.endswith(was[-3:]) for name, was in zip(shown, siblings, strict=True)
    )
    assert all(text_width(name, 13) <= 100 for name in shown)
    assert fit_columns_middle("worker-12345", 8) == "worke…45" and fit_columns_middle("worker", 8) == "worker"
    assert columns(fit_columns_middle("名前がとても長い", 9)) <= 9


def test_ticks_are_round_and_few() -> None:
    assert [label for _, label in ticks(0, 352 * MS, 6)] == ["0 ms", "100 ms", "200 ms", "300 ms"]
    assert tick_label(1_234_567_000, 1_000, 2_000_000_000) == "1.234567 s"
    assert len(ticks(0, 61 * 10**9, 6)) <= 7


def test_a_cell_of_zero_length_has_a_layout() -> None:
    report = SAMPLES["empty_cell"]()
    lay_out(replace(report, trace=replace(report.trace, wall_ns=0)), 0, 600)


def gathered(how_many: int) -> Trace:
    """A main task that awaits so many others, each of which ends 100 ms after the one before."""
    lines = [f"main {'R' + 'W' * (how_many * 100)}R"]
    lines += [f"job-{number} .{'W' * (100 * number)}R" for number in range(1, how_many + 1)]
    trace = trace_from_text("\n".join(lines), reasons={"main": "gather"}, host="main")
    ends = [track.end_ns or 0 for track in trace.tracks[1:]]
    last = trace.tracks[0].states[1].end_ns
    moments = [min(end, last) for end in ends]
    flows = [Flow("result", number, at, 0, at) for number, at in enumerate(moments, start=1)]
    return replace(trace, flows=tuple(flows))


def test_of_many_results_that_are_awaited_together_only_the_last_has_an_arrow() -> None:
    few, many = (
        lay_out(build_report(trace, compute(trace), ()), 100, 700) for trace in map(gathered, (3, 12))
    )
    assert len(few.arrows) == 3
    assert len(many.arrows) == 1
    assert many.arrows[0].row == 12


def test_results_that_ended_no_wait_are_the_first_that_the_script_goes_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = gathered(4)
    other = replace(trace_from_text("other WWWWWR").tracks[0], id=5)
    flows = (*trace.flows, Flow("wake", 1, 5 * MS, 5, 5 * MS))
    trace = replace(trace, tracks=(*trace.tracks, other), flows=flows)
    monkeypatch.setattr(payload_lanes, "MOST_FLOWS", 2)
    lanes = {track.id: track.id for track in trace.tracks}
    kinds, sources, *_ = payload_lanes.packed_flows(trace, lanes, int)
    told = [(payload_lanes.KINDS[kind], source) for kind, source in zip(kinds, sources, strict=True)]
    assert told == [("wake", 1), ("result", 4)]


def test_the_number_of_a_lanes_end_is_whole() -> None:
    told = ("waiting for a join 318 ms", "81 % blocked", "p50 1 ms · max 2 min 05 s", "raised ValueError")
    assert [number_of(text) for text in told] == ["318 ms", "81 %", "1 ms", ""]
    assert number_of("ready 2 min 05 s") == "2 min 05 s"
