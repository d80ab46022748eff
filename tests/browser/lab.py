"""A real JupyterLab on 127.0.0.1 in a folder of its own, and a real Chromium looking at it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Locator, Page, sync_playwright

NOTEBOOK = ".jp-Notebook"
MARKUP = 'class="concmagic"'  # by which our output is known
CODE_CELL = ".jp-Notebook .jp-CodeCell"
_SETTINGS = {
    "apputils-extension/themes.jupyterlab-settings": '{"theme": "JupyterLab %s"}',
    "apputils-extension/notification.jupyterlab-settings": '{"fetchNews": "false", "checkForUpdates": false}',
}
# Drop what is open, with what was done to it, and open one notebook. Dropped as it starts, one complains.
_ONLY = """async path => {
    const app = window.jupyterapp;
    for (const widget of [...app.shell.widgets('main')]) {
        const session = widget.context?.sessionContext;
        await session?.ready;
        await session?.session?.kernel?.info;
        widget.dispose();
    }
    document.querySelectorAll('.jp-Dialog').forEach(dialog => dialog.remove());
    await app.commands.execute('docmanager:open', {path});
}"""


def of_the_picture(error: str) -> list[str]:
    """What a page complains of, but for a request of JupyterLab's own that a closed notebook leaves."""
    return [] if "Canceled future for " in error else [error]


class Lab:
    """A running JupyterLab server; `folder` is where its notebooks are."""

    def __init__(self, folder: Path, theme: str = "Light") -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir(parents=True)
        self._home = folder / "home"
        self._port = _free_port()
        self._token = secrets.token_hex(16)
        self._log = folder / "server.log"
        self._write_settings(theme)
        self._server = self._start()

    def write(self, name: str, cells: list[Any], trusted: bool = True) -> Path:
        """Write a notebook; a trusted one is signed as if it had been run here."""
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        notebook.metadata["title"] = name  # trust is by content: two notebooks must not be the same
        path = self.folder / name
        nbformat.write(notebook, path)
        if trusted:
            command = [sys.executable, "-m", "jupyter", "trust", str(path)]
            subprocess.run(command, check=True, env=self._environment(), capture_output=True, timeout=120)
        return path

    def url(self, notebook: str) -> str:
        """Where a notebook is opened, alone, without what was open before."""
        return f"http://127.0.0.1:{self._port}/lab/tree/{notebook}?reset&token={self._token}"

    def open(self, page: Page, notebook: str) -> None:
        """Open a notebook in the page and wait until its cells are there."""
        page.goto(self.url(notebook))
        page.locator(CODE_CELL).first.wait_for(timeout=90_000)

    def open_again(self, page: Page, notebook: str) -> None:
        """Open a notebook as it is on disk, in a page that shows JupyterLab: loading that takes seconds."""
        page.mouse.move(5, 5)
        page.evaluate(_ONLY, notebook)
        page.locator(CODE_CELL).first.wait_for(timeout=90_000)

    def close(self) -> None:
        """End the server, and with it its kernels."""
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        own = {"HOME": home, "JUPYTER_CONFIG_DIR": f"{home}/config", "JUPYTER_DATA_DIR": f"{home}/data"}
        more = {"JUPYTER_RUNTIME_DIR": f"{home}/runtime", "IPYTHONDIR": f"{home}/ipython"}
        return {**os.environ, **own, **more}

    def _write_settings(self, theme: str) -> None:
        for name, text in _SETTINGS.items():
            path = self._home / "config" / "lab" / "user-settings" / "@jupyterlab" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text % theme if "%s" in text else text)

    def _start(self) -> subprocess.Popen[bytes]:
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self._port,
            "ServerApp.port_retries": 0,
            "ServerApp.open_browser": False,
            "ServerApp.root_dir": self.folder,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": self._token,
            "LabApp.expose_app_in_browser": True,  # tests read the notebook through window.jupyterapp
        }
        command = [
            sys.executable,
            "-m",
            "jupyter",
            "lab",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        with self._log.open("wb") as log:
            server = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=subprocess.STDOUT)
        self._wait_until_it_answers(server)
        return server

    def _wait_until_it_answers(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api", timeout=5).close()
                return
            time.sleep(0.2)  # between two questions, not an order of events
        server.kill()
        raise RuntimeError("JupyterLab did not start:\n" + self._log.read_text(errors="replace")[-3000:])


@contextlib.contextmanager
def running_lab(folder: Path, theme: str = "Light") -> Iterator[Lab]:
    """A JupyterLab for the length of the block; `theme` is "Light" or "Dark"."""
    lab = Lab(folder, theme)
    try:
        yield lab
    finally:
        lab.close()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium for the length of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def chromium_path() -> str:
    """The system's Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        raise RuntimeError("No Chromium here: apt-get install chromium")
    return found


def cell_with(html: str, text: str = "", source: str = "'a traced cell'") -> Any:
    """A code cell whose output is a picture."""
    output = nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": text})
    return nbformat.v4.new_code_cell(source, outputs=[output], execution_count=1)


def plain_cells(how_many: int) -> list[Any]:
    """Cells to scroll over."""
    return [
        nbformat.v4.new_code_cell("\n".join(f"line_{i}_{j} = {j}" for j in range(8))) for i in range(how_many)
    ]


def sources(page: Page) -> list[str]:
    """The sources of all cells of the open notebook, asked of its model, not of what is drawn."""
    cells = "window.jupyterapp.shell.currentWidget.content.model.cells"
    return list(page.evaluate(f"[...{cells}].map(cell => cell.sharedModel.getSource())"))


def cell_at(page: Page, index: int) -> Locator:
    """The element of a cell: JupyterLab draws only those in view, so it is not the n-th of the page."""
    return page.locator(f'.jp-Notebook [data-windowed-list-index="{index}"]')


def scroll_to_cell(page: Page, index: int) -> None:
    """Bring a cell into view as JupyterLab itself does it."""
    page.evaluate(
        """async index => {
            const content = window.jupyterapp.shell.currentWidget.content;
            await content.scrollToItem(index, 'center');
        }""",
        index,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
