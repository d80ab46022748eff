"""A real kernel of the interpreter that runs the tests, and what its cells answer.

run = kernel.run("print(1); 2")
assert (run.status, run.stdout, run.result_text) == ("ok", "1\\n", "2")

run = kernel.interrupted("print('here', flush=True); time.sleep(60)")
assert run.ename == "KeyboardInterrupt"
"""

from __future__ import annotations

import ast
import base64
import os
import re
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

TIMEOUT_S = 60.0
ENDS_S = 20.0  # after an interrupt: less than what it is to cut short
_STARTS, _LOOK_S = 3, 5.0  # of a kernel; between two looks whether it still lives
ANSWERS_S = 15.0  # what a kernel in which a test failed has to run an empty cell
TELL_STACKS = signal.SIGRTMAX - 1  # to a kernel: where each thread stands, to its stderr
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_AT_ITS_START = (
    "import faulthandler as _handler, sys as _sys\n"
    f"_handler.register({int(TELL_STACKS)}, file=_sys.__stderr__, all_threads=True)\n"
    "_handler.enable(open({crash!r}, 'w'))\n"
    "del _handler, _sys\n"
)
_COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def unpacked(html: str) -> str:
    """A picture's HTML with the data that its script unpacks, as text."""
    packed = re.search(r'concmagicStart\("[^"]+", "([^"]+)"', html)
    return html if packed is None else html + zlib.decompress(base64.b64decode(packed[1])).decode()


def plain(text: str) -> str:
    """Drop the colours of a terminal."""
    return _ANSI.sub("", text)


@dataclass
class Run:
    """What one cell did. `outputs` has everything in the order in which it came:
    dictionaries with `kind` ("stdout", "stderr", "display_data", "execute_result", "error"),
    `text` (of a stream, or the text/plain) and `data` (the MIME bundle)."""

    status: str = ""
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    execution_count: int = 0
    reply: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted_at: float = 0.0  # of time.monotonic, which is the kernel's, too

    @property
    def stdout(self) -> str:
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        return self._stream("stderr")

    @property
    def result_text(self) -> str | None:
        """text/plain of the cell's value; None if it showed none."""
        results = [output["text"] for output in self.outputs if output["kind"] == "execute_result"]
        return results[-1] if results else None

    @property
    def displays(self) -> list[dict[str, str]]:
        """The MIME bundles of what was displayed, the value apart."""
        return [output["data"] for output in self.outputs if output["kind"] == "display_data"]

    @property
    def kinds(self) -> list[str]:
        return [output["kind"] for output in self.outputs]

    @property
    def traceback_text(self) -> str:
        return "\n".join(self.traceback)

    def _stream(self, name: str) -> str:
        return "".join(output["text"] for output in self.outputs if output["kind"] == name)


class StartedCell:
    """A cell that was sent to the kernel and may still run."""

    def __init__(self, client: BlockingKernelClient, message_id: str) -> None:
        self._client = client
        self._id = message_id
        self._run = Run()
        self._idle = False
        self._begun = time.monotonic()

    @property
    def printed(self) -> str:
        """What it has printed so far, as far as that was waited for."""
        return self._run.stdout

    def wait_for(self, text: str, timeout: float = TIMEOUT_S) -> None:
        """Wait until the cell has printed this."""
        limit = time.monotonic() + timeout
        while text not in self._run.stdout + self._run.stderr:
            assert not self._idle, f"the cell ended without printing {text!r}: {self._run}"
            self._take_output(limit)

    def wait(self, timeout: float = TIMEOUT_S) -> Run:
        """Wait until the cell is over, and hand over what it did."""
        limit = time.monotonic() + timeout
        while not self._idle:
            self._take_output(limit)
        self._run.reply = reply = self._take_reply(limit)
        self._run.seconds = time.monotonic() - self._begun
        self._run.status = reply["status"]
        self._run.ename = reply.get("ename", "")
        self._run.evalue = reply.get("evalue", "")
        self._run.traceback = [plain(line) for line in reply.get("traceback", [])]
        self._run.execution_count = reply.get("execution_count", 0)
        return self._run

    def _take_reply(self, limit: float) -> dict[str, Any]:
        while True:
            message = self._client.get_shell_msg(timeout=_left(limit))
            if message["parent_header"].get("msg_id") == self._id:
                return message["content"]

    def _take_output(self, limit: float) -> None:
        try:
            message = self._client.get_iopub_msg(timeout=_left(limit))
        except Empty:
            raise AssertionError(f"nothing more came from the cell: {self._run}") from None
        if message["parent_header"].get("msg_id") == self._id:
            self._note(message["msg_type"], message["content"])

    def _note(self, kind: str, content: dict[str, Any]) -> None:
        outputs = self._run.outputs
        if kind == "status":
            self._idle = content["execution_state"] == "idle"
        elif kind == "stream" and outputs and outputs[-1]["kind"] == content["name"]:
            outputs[-1]["text"] += content["text"]
        elif kind == "stream":
            outputs.append({"kind": content["name"], "text": content["text"], "data": {}})
        elif kind in ("display_data", "execute_result"):
            data = content["data"]
            outputs.append({"kind": kind, "text": data.get("text/plain", ""), "data": data})
        elif kind == "error":
            text = plain("\n".join(content["traceback"]))
            outputs.append({"kind": kind, "text": text, "data": {}})


def _left(limit: float) -> float:
    return max(limit - time.monotonic(), 0.001)


class Kernel:
    """One running kernel."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient, crash: Path) -> None:
        self._manager = manager
        self._client = client
        self._crash = crash  # what Python writes where it crashes
        self._silent = False

    @property
    def pid(self) -> int:
        return int(self.value("__import__('os').getpid()"))

    @property
    def is_alive(self) -> bool:
        return bool(self._manager.is_alive())

    @property
    def is_silent(self) -> bool:
        """Whether it did not answer, or was gone, after a test that failed."""
        return self._silent

    @property
    def exit_code(self) -> Any:
        """As `subprocess` tells it: None while it runs."""
        return self._manager.provisioner.process.poll()

    def start(self, code: str) -> StartedCell:
        """Send a cell and do not wait for it."""
        assert not self._silent, "this kernel did not answer after an earlier test"
        return StartedCell(self._client, self._client.execute(code, allow_stdin=False, stop_on_error=False))

    def run(self, code: str, timeout: float = TIMEOUT_S) -> Run:
        """Run a cell to its end."""
        return self.start(code).wait(timeout)

    def check(self, code: str, timeout: float = TIMEOUT_S) -> Run:
        """Run a cell that must not fail."""
        run = self.run(code, timeout)
        assert run.status == "ok", f"{run.ename}: {run.evalue}\n{run.traceback_text}\n{run.stderr}"
        return run

    def converse(self, code: str, answers: Sequence[str]) -> Run:
        """Run a cell that asks as often as there are answers."""
        sent = self._client.execute(code, allow_stdin=True, stop_on_error=False)
        for answer in answers:
            self._client.get_stdin_msg(timeout=TIMEOUT_S)
            self._client.input(answer)
        return StartedCell(self._client, sent).wait()

    def new_subshell(self) -> str:
        """Make a subshell, as a front end does that runs cells beside others; answers its identity."""
        client = self._client
        message = client.session.msg("create_subshell_request")
        client.control_channel.send(message)
        limit = time.monotonic() + TIMEOUT_S
        while True:
            reply = client.get_control_msg(timeout=_left(limit))
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return str(reply["content"]["subshell_id"])

    def start_in(self, subshell: str, code: str) -> StartedCell:
        """Send a cell to a subshell."""
        client = self._client
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": False, "stop_on_error": False}
        message = client.session.msg("execute_request", content)
        message["header"]["subshell_id"] = subshell
        client.shell_channel.send(message)
        return StartedCell(client, message["header"]["msg_id"])

    def value(self, expression: str, timeout: float = TIMEOUT_S) -> Any:
        """The value of an expression in the notebook: as a literal where its repr is one, else the repr.

        It runs outside the history: `_`, `Out` and the count stay as they are.
        """
        sent = self._client.execute("", silent=True, user_expressions={"value": expression})
        answer = StartedCell(self._client, sent).wait(timeout).reply["user_expressions"]["value"]
        assert answer["status"] == "ok", f"{expression}: {answer}"
        text = answer["data"]["text/plain"]
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    def interrupted(self, code: str, *said: str, timeout: float = ENDS_S) -> Run:
        """Run a cell and interrupt it once it has printed all this, "here" by default."""
        cell = self.start(code)
        for text in said or ("here",):
            cell.wait_for(text)
        struck_at = time.monotonic()
        self.interrupt()
        run = cell.wait(timeout)
        run.interrupted_at = struck_at
        return run

    def interrupt(self) -> None:
        """Send what the notebook's stop button sends."""
        self._manager.interrupt_kernel()

    def tell_if_silent(self) -> None:
        """After a failed test: if no cell runs any more, print all stacks, and refuse what later tests run.

        Each of their cells would wait in vain for as long as a cell may take.
        """
        if self._silent:
            return
        if not self.is_alive:
            self._silent = True
            print(f"The kernel ended with {self.exit_code}.", self._crash.read_text(), file=sys.stderr)
            return
        sent = self._client.execute("", silent=True)
        try:
            StartedCell(self._client, sent).wait(ANSWERS_S)
        except (AssertionError, Empty):
            self._silent = True
            self._manager.signal_kernel(TELL_STACKS)
            time.sleep(1)  # there is nothing to wait for: the kernel does not answer


class _ThisPython(KernelSpecManager):
    """Whatever kernels are installed: the one of this interpreter, behind its starter if there is one."""

    starter: Sequence[str] = ()

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(argv=[*self.starter, *_COMMAND], display_name="tests", language="python")


@contextmanager
def running_kernel(folder: Path, starter: Sequence[str] = ()) -> Iterator[Kernel]:
    """Start a kernel in an empty folder, with a profile that only tells stacks on demand; end it afterwards.

    `starter` is a command that replaces itself by the one that follows it.
    """
    work = folder / "work"
    work.mkdir()
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    crash = folder / "crash.txt"
    (startup / "stacks.py").write_text(_AT_ITS_START.format(crash=str(crash)))
    temporary = tempfile.TemporaryDirectory()  # a short path: sockets of multiprocessing lie in it
    own = {"IPYTHONDIR": str(folder / "ipython"), "TMPDIR": temporary.name}
    # With pytest's own variable set, ipykernel leaves its descriptors alone: no longer the kernel a user has.
    around = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    manager, client = _started(folder, starter, cwd=str(work), env={**around, **own})
    try:
        yield Kernel(manager, client, crash)
    finally:
        _end(manager, client)
        temporary.cleanup()


def _started(
    folder: Path, starter: Sequence[str], **options: Any
) -> tuple[KernelManager, BlockingKernelClient]:
    """A kernel that answers. Its ports are chosen before it binds them: where another program was faster it
    ends, and the next one has others."""
    for _ in range(_STARTS):
        specs = _ThisPython()
        specs.starter = starter
        manager = KernelManager(kernel_spec_manager=specs, connection_file=str(folder / "connection.json"))
        manager.start_kernel(**options)
        client = manager.blocking_client()
        client.start_channels()
        limit = time.monotonic() + TIMEOUT_S
        while manager.is_alive() and time.monotonic() < limit:
            with suppress(RuntimeError):
                client.wait_for_ready(timeout=_LOOK_S)
                return manager, client
        has_ended = not manager.is_alive()
        _end(manager, client)
        assert has_ended, "the kernel does not answer"
    raise AssertionError("the kernel ends as it starts: its own output tells why")


def _end(manager: KernelManager, client: BlockingKernelClient) -> None:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()
    manager.context.destroy(linger=0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A kernel in which a test failed is asked whether it still runs cells."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Kernel):
                value.tell_if_silent()
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """A kernel that does not answer is ended; the next test gets a new one, and what was made in it anew."""
    yield
    request: Any = getattr(item, "_request", None)
    for definition in list(request._fixture_defs.values()) if request is not None else ():
        made = definition.cached_result
        if made is not None and isinstance(made[0], Kernel) and made[0].is_silent:
            definition.finish(request)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with concmagic loaded, shared by the tests of one module."""
    with running_kernel(tmp_path_factory.mktemp("kernel")) as running:
        running.check("%load_ext concmagic")
        yield running


@pytest.fixture
def fresh_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of this test's own, concmagic not yet loaded."""
    with running_kernel(tmp_path) as running:
        yield running
