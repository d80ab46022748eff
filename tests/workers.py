"""How the tests are shared by several workers, each a process with kernels of its own.

A file of kernel, browser and broken-world tests goes to one worker, so that what it starts is started once;
of unit tests each function with its cases goes to the next worker that is free.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

A_CORE, MOST = 2, 8  # tests of kernels and children wait for most of their time
_FIRST = ("broken", "browser", "kernel", "unit")  # short pieces come last, and fill the end
_AHEAD = 2  # a worker begins a test when it knows the next one


class ByFileOrFunction(LoadScopeScheduling):
    """Hands out the pieces in the order in which they were collected.

    Two methods are written anew: pytest-xdist 3.8 gives one piece to a worker that came in place of one that
    crashed: both wait for ever if that is one test. And the test that crashed is given to the next worker.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        function, _, _ = nodeid.partition("[")
        return function if file.startswith("tests/unit/") else file

    def _reschedule(self, node: WorkerController) -> None:
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) <= _AHEAD:
            if self.workqueue:
                self._assign_work_unit(node)
            else:
                node.shutdown()

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a worker's tests back; the answer is the one in which it crashed."""
        taken = self.assigned_work.pop(node)
        left = [
            (scope, test) for scope, unit in taken.items() for test, is_done in unit.items() if not is_done
        ]
        for scope, test in left[1:]:
            self.workqueue.setdefault(scope, {})[test] = False
        for each in self.nodes:
            self._reschedule(each)
        return left[0][1] if left else None


def in_order(items: list[pytest.Item]) -> None:
    """Sort by folder; the tests of one file stay as they are."""
    items.sort(key=lambda item: _FIRST.index(folder) if (folder := item.path.parent.name) in _FIRST else -1)


def pytest_xdist_auto_num_workers() -> int:
    """What `--numprocesses auto` is here."""
    return min(A_CORE * len(os.sched_getaffinity(0)), MOST)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileOrFunction | None:
    """Ours, but where every worker is to run every test."""
    if config.getoption("dist") == "each":
        return None
    config.option.loadscopereorder = False
    return ByFileOrFunction(config, log)
