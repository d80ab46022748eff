"""From a cell to its picture: the stages, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from concmagic.api import Trace
from concmagic.cell import Cell, Kept, Outcome, Program
from concmagic.code_owner import ours_only
from concmagic.options import Options
from concmagic.recording.guards import paused_collection
from concmagic.recording.session import RecordingSession

if TYPE_CHECKING:
    from concmagic.records.recording import Recording
    from concmagic.report import Report


@dataclass(frozen=True, slots=True)
class Traced:
    """What became of the cell, and what was seen of it; `problem` says why there is no trace."""

    outcome: Outcome
    trace: Trace | None
    report: Report | None
    problem: str = ""


def trace_cell(cell: Cell, program: Program, options: Options, settings: Any) -> Traced:
    """Run a cell that does not await, recorded.

    Raises TracerBusyError, before the cell has run, if another cell is recorded already.
    """

    def run(program: Program) -> Outcome:
        with ours_only():
            from concmagic.runners.sync_cell import run_sync

        with _start_method(options.start_method):
            return run_sync(program, options, settings)

    session = _session(cell, options, settings, "sync_cell")
    try:
        with ours_only():
            session.start()
        outcome = Kept(program, session.at_edge).outcome(run, session.runner_failed)
    except BaseException:  # an interrupt as the recording began: the cell's own is an outcome
        session.release()
        raise
    return _finish(session, outcome, cell, program, options, settings)


async def trace_cell_async(cell: Cell, program: Program, options: Options, settings: Any) -> Traced:
    """Run a cell that awaits on the loop that is running, recorded.

    Raises TracerBusyError, before the cell has run, if another cell is recorded already.
    """

    async def run(program: Program) -> Outcome:
        with ours_only():
            from concmagic.runners.async_cell import run_async

        with _start_method(options.start_method):
            return await run_async(program, options, settings, on_task=session.adopt_cell_task)

    session = _session(cell, options, settings, "async_cell")
    try:
        with ours_only():
            session.start()
        outcome = await Kept(program, session.at_edge).outcome_awaited(run, session.runner_failed)
    except BaseException:
        session.release()
        raise
    return _finish(session, outcome, cell, program, options, settings)


def _session(cell: Cell, options: Options, settings: Any, runner: str) -> RecordingSession:
    with ours_only():
        with suppress(Exception):  # whoever runs the cell meets it again, and tells it
            import_module(f"concmagic.runners.{runner}")  # now: later it would be the cell's time
        session = RecordingSession(
            cell, options, budget=settings.budget, sampler=settings.sampler, writers=_writers
        )
    session.check()
    return session


def _writers() -> list[tuple[type, str]]:
    from concmagic.display import writers

    return writers()


@contextmanager
def _start_method(method: str) -> Iterator[None]:
    """Make this the default of multiprocessing while the cell runs; "" leaves it alone."""
    if not method:
        yield
        return
    import multiprocessing

    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def _finish(
    session: RecordingSession,
    outcome: Outcome,
    cell: Cell,
    program: Program,
    options: Options,
    settings: Any,
) -> Traced:
    """Stop recording before anything else, so that nothing of ours is timed; then derive the data to draw.

    Whatever fails here costs the picture, and is told in one line; the outcome is the cell's all the same.
    """
    from concmagic import sentences
    from concmagic.runners.kernel_loop import remedy

    try:
        with ours_only():
            recording = session.stop(outcome.word, jobs=program.jobs())
            trace = _read(recording, tuple(settings.lints_off))
            _tell_who_waited(outcome, trace, options)
            note = " ".join(filter(None, (program.note, *outcome.notes, _handled(outcome, recording))))
            first = remedy(outcome.error, (cell.file, *cell.notebook))
            report = trace.report(question=options.predict, note=note, first=first)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Traced(outcome, None, None, sentences.picture_failed(error))
    finally:
        session.release()
    return Traced(outcome, trace, report)


def _handled(outcome: Outcome, recording: Recording) -> str:
    """What an interrupt did that the cell did not end with."""
    from concmagic import sentences

    if not outcome.handled:
        return ""
    what, first_ns = outcome.handled[0]
    after_ns = [max(when_ns - recording.start_ns, 0) for _, when_ns in outcome.handled]
    return sentences.handled_by_cell(what, after_ns, max(recording.end_ns - first_ns, 0))


@paused_collection()
def _read(recording: Recording, disabled_lints: tuple[str, ...]) -> Trace:
    from concmagic.importing.importer import import_recording

    return Trace.of(import_recording(recording), disabled_lints)


def _tell_who_waited(outcome: Outcome, trace: Trace, options: Options) -> None:
    """Add to the error of --timeout what every task was waiting for."""
    if options.timeout is None or not isinstance(outcome.error, TimeoutError):
        return
    from concmagic import sentences
    from concmagic.analysis.wait_chains import longest_chains

    if str(outcome.error) == sentences.cell_timed_out(options.timeout):  # else it is the cell's own
        for chain in longest_chains(trace):
            outcome.error.add_note(sentences.still_waiting(tuple(link.values for link in chain.links)))
