"""A loop body in real worker processes: what is sent, what comes back, and what dies."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator

import pytest
from loop_notebook import Notebook, notebook

from concmagic.errors import BodyError, ChildStartError

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
METHODS = multiprocessing.get_all_start_methods()


@pytest.fixture(scope="module")
def book() -> Iterator[Notebook]:
    with notebook() as book:
        yield book


def loop(method: str, header: str = "for n in range(3)", workers: int = 2) -> str:
    return f"-w {workers} --start-method {method} {header}"


@pytest.mark.parametrize("method", METHODS)
def test_the_notebooks_functions_and_classes_are_there(book: Notebook, method: str) -> None:
    code = (
        "base = 10\ndef add(x):\n    return base + x\n"
        "class P:\n    def __init__(self, x):\n        self.x = add(x)"
    )
    exec(code, book.names)
    found = book.run("procs", loop(method), "P(n)")
    assert [type(p) for p in found] == [book.names["P"]] * 3
    assert [p.x for p in found] == [10, 11, 12]


@pytest.mark.parametrize("method", METHODS)
def test_items_of_the_notebooks_own_class(book: Notebook, method: str) -> None:
    exec("class Item:\n    def __init__(self, x):\n        self.x = x", book.names)
    assert book.run("procs", loop(method, "for item in map(Item, range(3))"), "item.x * 2") == [0, 2, 4]


@pytest.mark.parametrize("method", METHODS)
def test_the_traceback_of_the_worker_is_the_cause_with_the_cells_source(book: Notebook, method: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        book.run("procs", loop(method), "def inner():\n    return 1 / (n - 1)\ninner()")
    assert caught.value.__notes__ == ["item 2 of 3: n=1"]
    remote = str(caught.value.__cause__)
    assert "return 1 / (n - 1)" in remote
    assert "line 3, in inner" in remote
    assert "line 4, in <module>" in remote
    assert "loop_worker" not in remote


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_what_cannot_be_sent_is_named_and_nothing_runs(book: Notebook, method: str) -> None:
    book.names.update(lock=threading.Lock(), fine=3)
    program = book.program("procs", loop(method), "fine\nwith lock:\n    n")
    with pytest.raises(BodyError, match=r"The loop body cannot be sent.*'lock'"):
        book.run_program(program)
    assert program.jobs() == ()


def test_under_fork_nothing_needs_to_be_sent(book: Notebook) -> None:
    book.names["lock"] = threading.Lock()
    assert book.run("procs", loop("fork"), "with lock:\n    m = n\nm") == [0, 1, 2]


@pytest.mark.parametrize("method", METHODS)
def test_an_item_that_cannot_be_sent_fails_alone(book: Notebook, method: str) -> None:
    book.names["items"] = [1, (n for n in "ab"), 3]
    with pytest.raises(ExceptionGroup) as caught:
        book.run("procs", "-r out --keep-going " + loop(method, "for x in items"), "x")
    (error,) = caught.value.exceptions
    assert isinstance(error, TypeError)
    assert error.__notes__[0] == "The item cannot be sent to another process."
    assert error.__notes__[1].startswith("item 2 of 3: x=")
    assert [book.names["out"][0], book.names["out"][2]] == [1, 3]


def test_a_value_that_cannot_be_sent_back_says_so(book: Notebook) -> None:
    with pytest.raises(TypeError) as caught:
        book.run("procs", loop("fork"), "(i for i in range(n))")
    assert "cannot be sent back" in caught.value.__notes__[0]


def test_an_exception_that_cannot_travel_is_told_in_words(book: Notebook) -> None:
    exec(
        "class Odd(Exception):\n    def __init__(self, a, b):\n        super().__init__(f'{a} and {b}')",
        book.names,
    )
    with pytest.raises(RuntimeError, match="Odd: 1 and 2") as caught:
        book.run("procs", loop("fork"), "raise Odd(1, 2)")
    assert "raise Odd(1, 2)" in str(caught.value.__cause__)


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_worker_names_its_item(book: Notebook, method: str) -> None:
    body = "import os, signal\nif n == 1:\n    os.kill(os.getpid(), signal.SIGKILL)\nn"
    with pytest.raises(RuntimeError, match=r"worker-\d died while it ran this item \(signal 9\)") as caught:
        book.run("procs", loop(method), body)
    assert caught.value.__notes__ == ["item 2 of 3: n=1"]


def test_keep_going_replaces_a_worker_that_died(book: Notebook) -> None:
    body = "import os\nif n % 2:\n    os._exit(7)\nn"
    with pytest.raises(ExceptionGroup) as caught:
        book.run("procs", "--keep-going -r out " + loop("fork", "for n in range(6)", 1), body)
    assert [str(error) for error in caught.value.exceptions] == [
        f"worker-{k} died while it ran this item (exit code 7)" for k in (1, 2, 3)
    ]
    assert book.names["out"][::2] == [0, 2, 4]


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_a_worker_that_cannot_load_the_body_is_one_error_and_no_hang(
    book: Notebook, method: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    class Local:
        def __reduce__(self) -> tuple[object, ...]:
            return _missing, ("only here",)

    monkeypatch.setitem(sys.modules, "only_here", types.ModuleType("only_here"))
    book.names["thing"] = Local()
    with pytest.raises(ChildStartError, match=r"worker-1 could not start: LookupError: .*only here"):
        book.run("procs", loop(method, workers=1), "thing")
    assert multiprocessing.active_children() == []


def _missing(text: str) -> None:
    raise LookupError(text)


@pytest.mark.parametrize("method", METHODS)
def test_a_large_item_and_a_large_value(book: Notebook, method: str) -> None:
    header = "for data in [b'x' * 3_000_000] * 3"
    assert book.run("procs", loop(method, header), "data + b'y'") == [b"x" * 3_000_000 + b"y"] * 3


def test_prints_of_workers_arrive_whole(book: Notebook, capfd: pytest.CaptureFixture[str]) -> None:
    book.run("procs", loop("spawn", "for n in range(20)"), "print('line', n)\nprint('more', n)")
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == sorted(f"{word} {n}" for word in ("line", "more") for n in range(20))


def test_a_body_may_start_processes_of_its_own(book: Notebook) -> None:
    body = (
        "import multiprocessing\np = multiprocessing.get_context('fork').Process(target=print)\n"
        "p.start()\np.join()\np.exitcode"
    )
    assert book.run("procs", loop("fork"), body) == [0, 0, 0]


def test_the_default_start_method_is_not_decided_by_us(book: Notebook) -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    assert book.run("procs", "-w 1 for n in range(2)", "n") == [0, 1]
    assert multiprocessing.get_start_method(allow_none=True) == before


def test_an_interrupt_ends_workers_that_ignore_everything(book: Notebook) -> None:
    body = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\nbegun.set()\nwhile True:\n    time.sleep(1)"
    )
    begun = multiprocessing.get_context("fork").Event()
    program = book.program("procs", loop("fork"), body)
    book.names["begun"] = begun
    main = threading.main_thread().ident or 0
    threading.Thread(target=lambda: begun.wait(30) and signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        book.run_program(program)
    assert multiprocessing.active_children() == []
    assert "cancelled" in {job.outcome for job in program.jobs()}
