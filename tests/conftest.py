"""What all tests share: golden files, the flag that writes them anew, and workers that run them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from workers import in_order, pytest_xdist_auto_num_workers, pytest_xdist_make_scheduler

__all__ = ["pytest_xdist_auto_num_workers", "pytest_xdist_make_scheduler"]  # pytest finds them here

# An example takes as long as the machine lets it: what it does is asserted, not when.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# A shell starts its background jobs with interrupts ignored, and whatever they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

MOST_LINES = 40  # of a first try
GOLDEN = Path(__file__).parent / "data" / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --regenerate` writes the golden files; look at the difference before you keep it."""
    parser.addoption("--regenerate", action="store_true", help="write the golden files anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A wrong account is wrong three times; a sampler that had no core when it mattered is not."""
    for item in items:
        if item.get_closest_marker("sampled"):
            item.add_marker(pytest.mark.flaky(reruns=2))
    in_order(items)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell of each try that failed, also of a test that passed then."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.write_sep("_", f"failed at first: {report.nodeid}")
        terminalreporter.write_line("\n".join(str(report.longreprtext).splitlines()[-MOST_LINES:]))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of that name, or write it under --regenerate."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--regenerate"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8"), (
            f"{name} differs: pytest --regenerate, then look at it"
        )

    return compare
