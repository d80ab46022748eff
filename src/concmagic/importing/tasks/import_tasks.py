"""Tasks and event loops of one process: from steps and wake-ups to tracks with states."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from concmagic.importing.calls.import_calls import BlockedCall
from concmagic.importing.clock_ids_places import CellClock, Places, TrackIds
from concmagic.importing.tasks.actors import Actors, names_of
from concmagic.importing.tasks.import_groups import Groups
from concmagic.importing.tasks.loop_holds import Hold, name_holders
from concmagic.importing.tasks.step_clocks import StepClocks, ThreadEvidence
from concmagic.importing.tasks.step_states import StepStates, as_thread, in_order, merged_states
from concmagic.importing.tasks.task_flows import task_flows
from concmagic.importing.tasks.task_outcomes import cancelled_by, loop_steps, outcome_of, traceback
from concmagic.importing.tasks.task_waits import TaskWaits
from concmagic.model.outcomes import RETURNED
from concmagic.model.states import cover
from concmagic.model.trace import NAMES, Flights, Flow, Group, LoopSteps, Role, State, StateInterval, Track
from concmagic.records.recording import LoopRecord, TaskLog, TaskRecord, ThreadRecord, Wake

LATE_NS = 1_000_000  # a timer that is later than this was kept waiting

Blocked = Mapping[int, Sequence[BlockedCall]]


@dataclass(frozen=True, slots=True)
class ImportedTasks:
    """Tracks and flows of one process's tasks; `by_thread` is what they tell about their threads."""

    tracks: tuple[Track, ...] = ()
    flows: tuple[Flow, ...] = ()
    by_thread: Mapping[int, tuple[StateInterval, ...]] = field(default_factory=dict)
    steps: Mapping[int, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)
    hidden: int = 0
    loops: tuple[LoopSteps, ...] = ()
    groups: tuple[Group, ...] = ()
    flights: Flights = field(default_factory=Flights)


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
        show_all: bool = False,
        evidence: Mapping[int, ThreadEvidence] | None = None,
        threads: Mapping[int, ThreadRecord] | None = None,
        cell_outcome: str = "",
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
        self._shown = [task for task in tasks if show_all or task.origin == "user"]
        self._by_number = {task.number: task for task in tasks}
        self._shown_numbers = {task.number for task in self._shown}
        self._names = names_of(log, self._shown)
        self._steps = {task.number: clock.pairs_at(task.steps) for task in log.tasks}
        self._holds_of: dict[int, list[Hold]] = {}
        self._begins_of: dict[int, list[int]] = {}
        self._actors = Actors(pid, ids, self._names, self._shown_numbers, log.cell_task, threads)
        self._waits = TaskWaits(places, self._actors.task, ids, pid)
        clocks = StepClocks(evidence or {})
        clocks.add(log.long_steps, clock)
        self._step_states = StepStates(blocked, evidence_until, clocks)
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
            loop_track = self._loop_track(loop)
            of_tasks = self._task_tracks(loop, tasks)
            told = loop_steps(loop_track, self._holds(loop), of_tasks)
            loops += [told] if told is not None else []
            tracks += [loop_track, *of_tasks]
            known_until = self._evidence_until.get(loop.native_id, 0)
            by_thread[loop.native_id] += as_thread(loop_track.states, known_until)
            steps[loop.native_id] += self._steps_by_id(tasks)
        return ImportedTasks(
            tuple(tracks),
            tuple(task_flows(self._shown, self._pid, self._clock, self._ids)),
            {native_id: in_order(states) for native_id, states in by_thread.items()},
            {native_id: tuple(sorted(found)) for native_id, found in steps.items()},
            len(self._log.tasks) - len(self._shown),
            tuple(loops),
            *self._told_groups(),
        )

    def _told_groups(self) -> tuple[tuple[Group, ...], Flights]:
        groups = [group for group in self._log.groups if group.number in self._shown_numbers]
        rows = [self._groups.row(group, self._ids.get("task", self._pid, group.number)) for group in groups]
        users = [group for group in groups if self._by_number[group.number].origin == "user"]
        return tuple(rows), self._groups.flights(users) if users else Flights()

    # ---- loops -------------------------------------------------------------------------------

    def _holds(self, loop: LoopRecord) -> list[Hold]:
        """Every step and callback of a loop, in order."""
        known = self._holds_of.get(loop.number)
        if known is not None:
            return known
        at = self._clock.at
        holds = [(at(begin), at(end), self._actors.callback(name)) for begin, end, name in loop.callbacks]
        for task in self._log.tasks:
            if task.loop == loop.number:
                who = self._actors.task(task.number)
                holds += [(begin, end, who) for begin, end in self._steps[task.number]]
        holds.sort()
        self._holds_of[loop.number] = holds
        self._begins_of[loop.number] = [hold[0] for hold in holds]
        return holds

    def _loop_track(self, loop: LoopRecord) -> Track:
        holds = self._holds(loop)
        start = 0 if loop.kernel or not holds else holds[0][0]
        end = self._clock.wall_ns if loop.kernel or not holds else max(hold[1] for hold in holds)
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
            outcome="" if loop.kernel else RETURNED,
            pid=self._pid,
            native_id=loop.native_id,
        )

    def _loop_role(self, loop: LoopRecord) -> Role:
        """The kernel's loop is machinery in a cell that has nothing on it (it is shown with --all)."""
        mine = any(task.loop == loop.number and task.origin == "user" for task in self._log.tasks)
        return "work" if mine or not loop.kernel else "machinery"

    # ---- tasks -------------------------------------------------------------------------------

    def _task_tracks(self, loop: LoopRecord, tasks: Sequence[TaskRecord]) -> list[Track]:
        self._holds(loop)
        drafts = [self._states(task, loop.native_id) for task in tasks]
        name_holders(self._holds(loop), drafts)
        return [self._task_track(loop, task, states) for task, states in zip(tasks, drafts, strict=True)]

    def _states(self, task: TaskRecord, native_id: int) -> list[StateInterval]:
        """From creation to end: starting, then steps, and between them waiting until woken, then ready."""
        group = self._groups.by_number.get(task.number)
        if group is not None:
            return self._groups.states(group, self._end(task))
        at = self._clock.at
        states: list[StateInterval] = []
        wakes, next_wake = task.wakes, 0
        before = at(task.created_ns) if task.created_ns is not None else 0
        steps = zip(task.steps, self._steps[task.number], strict=True)
        for index, ((begin_ns, _), (begin, end)) in enumerate(steps):
            wake = None
            while next_wake < len(wakes) and wakes[next_wake].at_ns <= begin_ns:
                wake = wake or wakes[next_wake]
                next_wake += 1
            if begin > before:
                if index == 0 and task.created_ns is not None and task.created_ns >= self._clock.start_ns:
                    states.append(StateInterval(before, begin, State.STARTING))
                elif wake is None:
                    states.append(StateInterval(before, begin, State.UNKNOWN))
                else:
                    woken = self._due(task.loop, wake, before, min(max(at(wake.at_ns), before), begin))
                    if woken > before:
                        in_pool = self._actors.thread_name(wake.thread)
                        states.append(self._waits.state(before, woken, wake.wait, in_pool))
                    if begin > woken:
                        states.append(StateInterval(woken, begin, State.READY, "loop"))
            if end > begin:
                states += self._step_states.of_step(native_id, begin, end)
            before = max(before, end)
        self._add_rest(task, states, before, wakes[next_wake].at_ns if next_wake < len(wakes) else None)
        return states

    def _due(self, loop: int, wake: Wake, before: int, woken: int) -> int:
        """When a task became ready: a sleeper whose time was up while somebody held the loop, by then.

        The loop looks at its timers between two steps only, so the wake-up itself comes after the hold.
        """
        if wake.cause != "timer" or wake.wait is None or wake.wait.reason != "sleep":
            return woken
        due = before + (wake.wait.delay_ns or 0)
        if due <= before or woken - due < LATE_NS:
            return woken
        index = bisect_right(self._begins_of[loop], due) - 1
        held = index >= 0 and self._holds_of[loop][index][1] - due >= LATE_NS
        return due if held else woken

    def _add_rest(
        self, task: TaskRecord, states: list[StateInterval], before: int, woken_ns: int | None
    ) -> None:
        """What came after the last step: of a task that ended nothing, else its last wait."""
        end = self._end(task)
        woken = min(max(self._clock.at(woken_ns), before), end) if woken_ns is not None else end
        if woken > before:
            if not task.steps and task.created_ns is not None:
                states.append(StateInterval(before, woken, State.STARTING))
            elif task.last_wait is not None:
                states.append(self._waits.state(before, woken, task.last_wait))
            else:
                states.append(StateInterval(before, woken, State.UNKNOWN))
        if end > max(woken, before):
            states.append(StateInterval(max(woken, before), end, State.READY, "loop"))

    def _end(self, task: TaskRecord) -> int:
        return self._clock.wall_ns if task.ended_ns is None else self._clock.at(task.ended_ns)

    def _task_track(self, loop: LoopRecord, task: TaskRecord, states: list[StateInterval]) -> Track:
        start = 0 if task.created_ns is None else self._clock.at(task.created_ns)
        end = max(self._end(task), start)
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
            outcome=outcome_of(task, self._cell_outcome, is_cell),
            outcome_detail=task.exception,
            traceback=traceback(task, self._places),
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
