"""`make lab` as a user types it: a real server on 127.0.0.1 that shows the tour, and opens it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.browser.lab import _free_port

ROOT = Path(__file__).parents[2]
LIMIT_S = 120  # only ever reached by a test that fails


@contextlib.contextmanager
def make_lab(folder: Path) -> Iterator[tuple[int, Path, subprocess.Popen[bytes]]]:
    """The port on which it serves, the file that says what it gave a browser to open, and make itself."""
    port, opened = _free_port(), folder / "opened"
    own = {
        "HOME": str(folder),
        "JUPYTER_PORT": str(port),
        "JUPYTER_TOKEN": "tests",
        # It is handed the file of a page that leads to the notebook.
        "BROWSER": f"sh -c 'echo $0 > {opened}' %s",
    }
    with (folder / "log").open("wb") as log:
        # A session of its own: make hands signals on to nobody, so its whole group is ended.
        server = subprocess.Popen(
            ["make", "lab"],
            cwd=ROOT,
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield port, opened, server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(LIMIT_S)


def test_it_serves_the_tour_on_this_machine_alone_and_opens_it(tmp_path: Path) -> None:
    with make_lab(tmp_path) as (port, opened, server):
        log, limit = tmp_path / "log", time.monotonic() + LIMIT_S
        while not opened.exists() or not opened.stat().st_size:
            assert time.monotonic() < limit, log.read_text()
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        leading = Path(opened.read_text().strip().removeprefix("file://")).read_text(encoding="utf-8")
        page = re.search(r'href="([^"]+)"', leading)
        assert page is not None
        assert page[1] == f"http://127.0.0.1:{port}/lab/tree/tour.ipynb?token=tests"
        with urllib.request.urlopen(page[1], timeout=LIMIT_S) as answer:
            assert "JupyterLab" in answer.read().decode()
        tour = f"http://127.0.0.1:{port}/api/contents/tour.ipynb?token=tests"
        with urllib.request.urlopen(tour, timeout=LIMIT_S) as answer:
            titles = [cell["source"].splitlines()[0] for cell in json.load(answer)["content"]["cells"]]
        notebook = json.loads((ROOT / "examples/tour.ipynb").read_text(encoding="utf-8"))
        assert titles == ["".join(cell["source"]).splitlines()[0] for cell in notebook["cells"]]
        with socket.socket() as elsewhere:
            elsewhere.bind(("127.0.0.2", port))  # taken, if it listened on all addresses
