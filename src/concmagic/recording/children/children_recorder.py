"""Observes every child process of a cell, and collects what the children hand over."""

from __future__ import annotations

import _thread
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from concmagic.clock import held, monotonic, sleep
from concmagic.options import Options
from concmagic.problems import Problem
from concmagic.recording.calls import limit_of
from concmagic.recording.children import child_listener, leftovers, message_arrivals, pickling, resources
from concmagic.recording.children import handover_files as child_files
from concmagic.recording.children import hooks as child_hooks
from concmagic.recording.children.child_config import ChildConfig
from concmagic.recording.children.child_records import Files, PreexistingWorkers, records_of
from concmagic.recording.children.child_table import Child, Family
from concmagic.recording.children.recorders_in_child import load_late
from concmagic.records.recording import ProcessRecord

GRACE_S = 0.3  # for children that have ended and still write
_MOST_NAMED = 5  # children in one sentence
_STEP_S = 0.005
_PATIENCE_S = 5.0  # for another thread that prepares the first child: it imports

_kept: list[tuple[Path, list[int]]] = []  # folders that children still use, who have outlived their cell


class ChildRecorder:
    """The child processes of one cell; `problems` tell what is missing."""

    def __init__(
        self,
        options: Options,
        cell_file: str,
        budget: int = 300_000,
        on_born: Callable[[int], object] | None = None,
    ) -> None:
        self._on_born = on_born
        self.problems: list[Problem] = []
        self._config = ChildConfig(
            detail=options.detail,
            budget=limit_of(options.detail, budget),
            cell_file=cell_file,
            parent_pid=os.getpid(),
        )
        self._hooks: child_hooks.Hooks | None = None
        self._folder: Path | None = None
        self._preparing = _thread.allocate_lock()
        self._asked: dict[int, Path] = {}
        self._names: list[resources.Name] = []  # that the kernel itself made
        self._was_ended = False
        self._spared: set[int] = set()
        self._earlier: PreexistingWorkers | None = None

    def start(self) -> None:
        """Follow the cell into every child that it starts from now on."""
        from concmagic.recording.children.child_entry import begin_forked

        _release_kept()
        hooks = self._hooks = child_hooks.Hooks(self._config)
        hooks.before_child = self._prepare
        hooks.on_fork = begin_forked
        if self._on_born is not None:
            hooks.family.on_born = self._on_born
        pickling.courier().generation += 1
        hooks.install()
        hooks.guard(partial(resources.watch, self._names.append))
        self._earlier = hooks.guard(partial(PreexistingWorkers, hooks, self._on_born))
        hooks.guard(self._call_the_kept)

    def _call_the_kept(self) -> None:
        """Let children that have outlived an earlier cell record this one."""
        if _kept and self._hooks is not None:
            self._prepare()
            for folder, pids in _kept:
                message_arrivals.call_sleepers(folder, self._hooks.config.for_earlier(len(pids)))

    def stop(self) -> tuple[ProcessRecord, ...]:
        """Put everything back, and hand over one record per child. Waits for none that lives on."""
        hooks = self._hooks
        if hooks is None or hooks.config.parent_pid != os.getpid() or hooks is not child_hooks.active():
            return ()  # never started, or this is a forked child, which has its own way out
        for folder, _ in _kept:
            hooks.guard(partial(message_arrivals.call_off, folder))
        try:
            hooks.guard(partial(self._ask_the_living, hooks))
        finally:
            hooks.guard(resources.unwatch)
            hooks.uninstall()
            self.problems += hooks.problems
        for child in hooks.family.living():
            hooks.family.ended_if_gone(child)
        files = child_files.read_all(self._folder) if self._folder is not None else {}
        if self._was_ended:
            resources.unlink(self._orphans(files))
        try:
            return tuple(self._records(hooks, files))
        finally:
            self._clean_up(hooks)

    def end_tree(self) -> None:
        """The cell was interrupted: end every process and every fork that it has started, but no command.

        What still cleans up after the interrupt is left to it, as it is behind a plain cell.
        """
        if self._hooks is not None and self._hooks is child_hooks.active():
            self._was_ended = True
            pools, family = self._hooks.pools, self._hooks.family
            pools.close()
            self._hooks.guard(partial(self._spare_those_that_clean_up, family))
            leftovers.end_processes(self._next_to_end, lambda: family.starting, self._spared)
            pools.free()
            pools.fail_jobs()
            self._hooks.guard(family.reap_interrupted)

    def _spare_those_that_clean_up(self, family: Family) -> None:
        if self._folder is None:
            return
        self._spared = child_listener.ask_who_cleans_up(self._folder)
        names = [child.name for child in family.living() if child.pid in self._spared]
        if names:
            self.problems.append(Problem.of("still_clean_up", tuple(names[:_MOST_NAMED])))

    def _next_to_end(self) -> list[int]:
        """Those of them that live; a thread of the cell may have started one only now."""
        assert self._hooks is not None
        living = [child for child in _of_python(self._hooks.family) if child.pid not in self._spared]
        for child in living:
            child.is_interrupted = True
        return [child.pid for child in living]

    def _prepare(self) -> None:
        """Before the first child: most cells have none, and need neither folder nor imports.

        All imports are done by then: a child forked while another thread imports a module
        would wait for ever when it needs that module itself.
        """
        with held(self._preparing, _PATIENCE_S) as got:
            if not got or self._folder is not None:
                return
            assert self._hooks is not None
            self._hooks.guard(load_late)
            self._hooks.guard(leftovers.remove_folders)
            self._folder = child_files.make_folder()
            pickling.courier().folder = self._folder
            self._hooks.config = self._config._replace(folder=os.fspath(self._folder))

    def _ask_the_living(self, hooks: child_hooks.Hooks) -> None:
        """Let those that have not ended, or are just ending, hand over; wait a moment, not longer."""
        self._asked = child_files.ask_all(self._folder) if self._folder is not None else {}
        limit = monotonic() + GRACE_S
        while self._is_awaited(hooks) and monotonic() < limit:
            sleep(_STEP_S)

    def _is_awaited(self, hooks: child_hooks.Hooks) -> bool:
        living = {child.pid for child in hooks.family.living()}
        known = {child.pid for child in hooks.family.children}
        if any(child.is_ending for child in hooks.family.living()):
            return True
        return any(
            not told.exists() for pid, told in self._asked.items() if pid in living or pid not in known
        )

    def _orphans(self, files: Files) -> Iterator[resources.Name]:
        """Names that the kernel made, and those of children that are gone."""
        yield from self._names
        for (pid, _), told in files.items():
            if not leftovers.runs(pid):
                yield from child_files.parts_of(told, child_files.NAMES_PART)

    def _records(self, hooks: child_hooks.Hooks, files: Files) -> Iterator[ProcessRecord]:
        family = [*hooks.family.children]
        if self._earlier is not None:
            family += self._earlier.that_worked({pid for pid, _ in files})
        for told in files.values():
            family.extend(told.get("end", {}).get("children", ()))
        return records_of(family, files)

    def _clean_up(self, hooks: child_hooks.Hooks) -> None:
        living = [child.pid for child in _of_python(hooks.family)]
        living += [pid for pid in self._asked if child_files.is_alive(pid) and pid not in living]
        courier = pickling.courier()
        courier.shared, courier.folder = lambda value: False, None
        courier.packed.clear()
        if living:
            _kept.append((self._folder or Path(os.devnull), living))
            return
        _release_kept()
        if not _kept:
            pickling.uninstall()
        if self._folder is not None:
            child_files.remove_folder(self._folder)


def _of_python(family: Family) -> list[Child]:
    """Those that live and run the user's Python code: no helpers of multiprocessing, no commands."""
    return [
        child
        for child in family.living()
        if child.origin != "machinery" and child.start_method != "subprocess"
    ]


def _release_kept() -> None:
    """Remove what children needed that had outlived their cell and are gone now."""
    for folder, pids in list(_kept):
        if not any(map(child_files.is_alive, pids)):
            _kept.remove((folder, pids))
            child_files.remove_folder(folder)
