"""Tasks and event loops of one process: from steps and wake-ups to tracks with states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from concmagic.importing.clock_ids_places import Actors, CellClock, Places, TrackIds, names_of, short_name
from concmagic.importing.import_calls import BlockedCall
from concmagic.importing.tasks import bare_loops
from concmagic.importing.tasks.earlier_tasks import held_its_loop, with_those_that_work_for_it
from concmagic.importing.tasks.step_states import Hold, StepClocks, StepStates, ThreadEvidence
from concmagic.importing.tasks.task_flows import cancelled_by, task_flows, task_outcome
from concmagic.importing.tasks.task_states import TaskStates, TaskWaits
from concmagic.importing.tasks.task_sums import Groups, loop_steps, merged_states
from concmagic.model.outcomes import LEFT_RUNNING, RETURNED, UNKNOWN, Outcome
from concmagic.model.states import cover, in_order, join_equal
from concmagic.model.trace import (
    NAMES,
    NO_FACTS,
    Flights,
    Flow,
    Group,
    Hidden,
    LoopSteps,
    Role,
    State,
    StateInterval,
    Track,
)
from concmagic.records.recording import LoopRecord, LoopRun, TaskLog, TaskRecord, ThreadRecord

Blocked = Mapping[int, Sequence[BlockedCall]]


@dataclass(frozen=True, slots=True)
class ImportedTasks:
    """Tracks and flows of one process's tasks; `by_thread` is what they tell about their threads."""

    tracks: tuple[Track, ...] = ()
    flows: tuple[Flow, ...] = ()
    by_thread: Mapping[int, tuple[StateInterval, ...]] = field(default_factory=dict)
    steps: Mapping[int, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)
    hidden: Hidden = field(default_factory=Hidden)
    loops: tuple[LoopSteps, ...] = ()
    groups: tuple[Group, ...] = ()
    flights: Flights = field(default_factory=Flights)
    loop_waits: Mapping[int, tuple[StateInterval, ...]] = field(default_factory=dict)  # without tasks


def ended_with_process(found: ImportedTasks) -> ImportedTasks:
    """Tasks of a process that has ended: none of them runs on."""
    return replace(
        found,
        tracks=tuple(
            replace(one, outcome=UNKNOWN) if one.outcome == LEFT_RUNNING else one for one in found.tracks
        ),
    )


class TaskImporter:
    """Reads the TaskLog of one process."""

    def __init__(
        self,
        log: TaskLog,
        pid: int,
        clock: CellClock,
        places: Places,
        ids: TrackIds,
        blocked: Blocked,
        evidence_until: Mapping[int, int],
        show_all: bool,
        evidence: Mapping[int, ThreadEvidence],
        threads: Mapping[int, ThreadRecord],
        cell_outcome: Outcome,
    ) -> None:
        self._log = log
        self._pid = pid
        self._clock = clock
        self._places = places
        self._ids = ids
        self._evidence_until = evidence_until  # per thread: until when its blocking calls are known
        self._loops = {loop.number: loop for loop in log.loops}
        self._groups = Groups({group.number: group for group in log.groups}, clock)
        tasks = [self._groups.told(task) for task in log.tasks] if log.groups else log.tasks
        if any(task.origin == "earlier" for task in tasks):
            tasks = with_those_that_work_for_it(tasks, threads, places)
        loops = frozenset(task.loop for task in tasks if task.origin == "user")
        self._shown = [
            task for task in tasks if show_all or task.origin == "user" or held_its_loop(task, loops)
        ]
        self._by_number = {task.number: task for task in tasks}
        self._shown_numbers = {task.number for task in self._shown}
        self._names = names_of(log, self._shown, places)
        self._steps = {task.number: clock.pairs_at(task.steps) for task in log.tasks}
        self._actors = Actors(pid, ids, self._names, self._shown_numbers, log.cell_task, threads)
        clocks = StepClocks(evidence)
        clocks.add(log.long_steps, clock)
        self._step_states = StepStates(blocked, evidence_until, clocks)
        waits = TaskWaits(places, self._actors.task, ids, pid)
        self._states = TaskStates(clock, self._actors, waits, self._step_states, self._groups)
        self._threads = threads
        self._cell_outcome = cell_outcome

    def run(self) -> ImportedTasks:
        """All tracks and flows."""
        in_loop: dict[int, list[TaskRecord]] = defaultdict(list)
        for task in self._shown:
            in_loop[task.loop].append(task)
        tracks: list[Track] = []
        loops: list[LoopSteps] = []
        by_thread: dict[int, list[StateInterval]] = defaultdict(list)
        steps: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for number, tasks in in_loop.items():
            loop = self._loops.get(number) or LoopRecord(number, 0, False, ())
            holds = self._holds(loop)
            loop_track = self._loop_track(loop, holds)
            states = self._states.of_loop(tasks, loop.native_id, holds, self._steps)
            of_tasks = [self._task_track(loop, *one) for one in zip(tasks, states, strict=True)]
            told = loop_steps(loop_track, holds, of_tasks)
            loops += [told] if told is not None else []
            tracks += [loop_track, *of_tasks]
            known_until = self._evidence_until.get(loop.native_id, 0)
            by_thread[loop.native_id] += as_thread(loop_track.states, known_until)
            steps[loop.native_id] += self._steps_by_id(tasks)
        flows = task_flows(self._shown, self._pid, self._clock, self._ids)
        loop_waits: dict[int, tuple[StateInterval, ...]] = {}
        for loop in self._bare_loops(in_loop):
            holds = self._holds(loop)
            loop_track = self._loop_track(loop, holds, bare_loops.runs_of(loop, holds, self._clock))
            waits = loop_waits[loop.native_id] = bare_loops.waits_of(loop_track.states)
            flows += bare_loops.wakes(loop, loop_track.id, waits, self._pid, self._clock, self._ids)
            told = loop_steps(loop_track, holds, ())
            loops += [told] if told is not None else []
            tracks.append(loop_track)
            known_until = self._evidence_until.get(loop.native_id, 0)
            of_runs = [one for one in loop_track.states if one.reason != bare_loops.NOT_RUN]
            by_thread[loop.native_id] += as_thread(of_runs, known_until)
        return ImportedTasks(
            tuple(tracks),
            tuple(flows),
            {native_id: in_order(states) for native_id, states in by_thread.items()},
            {native_id: tuple(sorted(found)) for native_id, found in steps.items()},
            self._hidden(),
            tuple(loops),
            *self._told_groups(),
            loop_waits,
        )

    def _hidden(self) -> Hidden:
        hidden = [task for task in self._by_number.values() if task.number not in self._shown_numbers]
        of_earlier = [task for task in hidden if task.origin == "earlier"]
        at_work = sum(bool(task.steps or task.merged) for task in of_earlier)
        return Hidden(tasks=len(hidden) - len(of_earlier), earlier_tasks=at_work)

    def _told_groups(self) -> tuple[tuple[Group, ...], Flights]:
        groups = [group for group in self._log.groups if group.number in self._shown_numbers]
        rows = [self._groups.row(group, self._ids.get("task", self._pid, group.number)) for group in groups]
        users = [group for group in groups if self._by_number[group.number].origin == "user"]
        return tuple(rows), self._groups.flights(users) if users else Flights()

    # ---- loops -------------------------------------------------------------------------------

    def _holds(self, loop: LoopRecord) -> list[Hold]:
        """Every step and callback of a loop, in order."""
        at = self._clock.at
        callback = self._actors.callback
        holds = [(at(begin), at(end), callback(short_name(name))) for begin, end, name in loop.callbacks]
        for task in self._log.tasks:
            if task.loop == loop.number:
                who = self._actors.task(task.number)
                holds += [(begin, end, who) for begin, end in self._steps[task.number]]
        holds.sort()
        return holds

    def _bare_loops(self, with_tasks: Collection[int]) -> Iterator[LoopRecord]:
        """Those on which no task of the user's was, in threads of the user's."""
        for loop in self._log.loops:
            thread = self._threads.get(loop.native_id)
            if loop.number in with_tasks or loop.kernel or thread is None or thread.origin != "user":
                continue
            if loop.runs or loop.callbacks:
                yield loop

    def _loop_track(self, loop: LoopRecord, holds: Sequence[Hold], runs: Sequence[LoopRun] = ()) -> Track:
        start = 0 if loop.kernel or not holds else holds[0][0]
        end = self._clock.wall_ns if loop.kernel or not holds else max(hold[1] for hold in holds)
        if runs:
            start, end = runs[0].begin_ns, runs[-1].end_ns
            known = self._step_states, self._clock, self._places
            states = bare_loops.states_of(loop, holds, runs, *known)
        else:
            states = self._step_states.of_loop(loop.native_id, holds, start, end)
        return Track(
            id=self._ids.get("loop", self._pid, loop.number),
            kind="loop",
            name=NAMES["loop"],
            parent=self._ids.known("thread", self._pid, loop.native_id),
            role=self._loop_role(loop),
            start_ns=start,
            end_ns=None if loop.kernel else end,
            states=cover(start, end, states, merged_states(loop.merged, self._clock)),
            outcome=UNKNOWN if loop.kernel else RETURNED,
            pid=self._pid,
            native_id=loop.native_id,
        )

    def _loop_role(self, loop: LoopRecord) -> Role:
        """The kernel's loop is machinery in a cell that has nothing on it (it is shown with --all)."""
        mine = any(task.loop == loop.number and task.origin == "user" for task in self._log.tasks)
        return "work" if mine or not loop.kernel else "machinery"

    # ---- tasks -------------------------------------------------------------------------------

    def _task_track(self, loop: LoopRecord, task: TaskRecord, states: list[StateInterval]) -> Track:
        start = 0 if task.created_ns is None else self._clock.at(task.created_ns)
        end = max(self._clock.end_at(task.ended_ns), start)
        is_cell = task.number == self._log.cell_task
        parent = self._ids.get("loop", self._pid, loop.number)
        if task.parent in self._shown_numbers and task.parent not in (None, self._log.cell_task):
            parent = self._ids.get("task", self._pid, task.parent)
        by, what = cancelled_by(task, self._by_number, self._actors, self._cell_outcome)
        return Track(
            id=self._ids.get("task", self._pid, task.number),
            kind="task",
            name=self._names[task.number],
            parent=parent,
            role="work" if task.origin == "user" else "machinery",
            start_ns=start,
            end_ns=None if task.ended_ns is None else end,
            states=cover(start, end, states, merged_states(task.merged, self._clock)),
            outcome=task_outcome(task, self._places, self._cell_outcome, is_cell),
            pid=self._pid,
            native_id=loop.native_id,
            unit=task.origin == "user" and not is_cell,
            host=is_cell,
            file="" if is_cell else self._places.short(task.file),
            line=0 if is_cell else task.line,  # the function that runs it is no place of the user's
            unretrieved=task.unretrieved,
            cancelled_by=by,
            stopped_by=what,
        )

    def _steps_by_id(self, tasks: Sequence[TaskRecord]) -> list[tuple[int, int, int]]:
        return [
            (begin, end, track)
            for task in tasks
            for track in (self._ids.get("task", self._pid, task.number),)
            for begin, end in self._steps[task.number]
        ]


def as_thread(states: Sequence[StateInterval], known_until: int) -> list[StateInterval]:
    """What a loop's states say about its thread, beside the calls, which tell of blocking themselves.

    An idle loop's thread waits; but where calls were recorded they tell exactly when.
    """
    told = []
    for interval in states:
        idle = interval.state is State.WAITING and interval.start_ns >= known_until
        if interval.state is State.RUNNING:  # whose step it was is the loop's to tell
            told.append(StateInterval(interval.start_ns, interval.end_ns, State.RUNNING, interval.reason))
        elif (interval.state is State.READY and not interval.phase) or idle:
            told.append(interval)
        elif interval.state is State.BLOCKING:
            start, end = interval.start_ns, interval.end_ns
            told.append(
                StateInterval(
                    start, end, State.WAITING, interval.reason, NO_FACTS, interval.file, interval.line
                )
            )
    return list(join_equal(told))
