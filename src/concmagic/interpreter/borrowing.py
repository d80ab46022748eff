"""Reads and replaces the names that are borrowed of Python and of libraries, and says what works here.

A name may be missing, in another Python or because somebody took it away, or stand for something else than
what Python has there. That costs what would have been seen by it, and is told; `borrowed.py` lists all such
names, and what each is read for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from concmagic.problems import Problem

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

# Asked of the build and not of its state: a free-threaded build that runs with the GIL, because an extension
# turned it on, is laid out as a free-threaded one, and ends a recording as unsafely as one.
# The documented text of `python -VV`. `sysconfig` knows it as Py_GIL_DISABLED, and costs a child up to 9 ms.
FREE_THREADED: Final = "free-threading build" in sys.version


def runs_without_gil() -> bool:
    """Whether this interpreter runs without the GIL at this moment."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


class Capability(NamedTuple):
    """Whether a program whose answer is known was answered so; if not, what differed."""

    ok: bool
    why: str = ""


WORKS = Capability(True)


def unless(flaw: str) -> Capability:
    """The answer of a probe that found this flaw; "" is none, and the capability works."""
    return Capability(False, flaw) if flaw else WORKS


def missing(**found: object) -> Capability:
    """The answer of a probe that looked for these by name; those that are None or False are missing."""
    gone = [name for name, value in found.items() if value is None or value is False]
    return Capability(False, ", ".join(gone)) if gone else WORKS


ABSENT: Any = object()
_WRAPPED_IN = ("__func__", "__wrapped__", "func")  # a method's, a wrapper's, a partial's own function
_DEEPEST = 8

Loss = tuple[str, str, str]  # owner, name, why

_lost: dict[Loss, bool] = {}  # → whether it was told
_at_import: set[Loss] = set()  # of modules that are loaded: for as long as this process lives


def borrowed(owner: Any, name: str, neutral: Any = None, at_import: bool = False) -> Any:
    """The owner's attribute of this name; `neutral` where it has none, which is told."""
    found = getattr(owner, name, ABSENT)
    if found is ABSENT:
        lose(owner, name, "missing", at_import)
        return neutral
    return found


def code_of(owner: Any, name: str, at_import: bool = True) -> CodeType | None:
    """The code of Python's own function of this name, also behind what stands in for it; None, told, if none.

    Frames are compared with it, and none is None.
    """
    found = getattr(owner, name, ABSENT)
    function, folder = found, _folder_of(owner, name)
    for _ in range(_DEEPEST):
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType) and code.co_name == name and _folder(code.co_filename) == folder:
            return code
        function = next(
            (inner for word in _WRAPPED_IN if (inner := _own(function, word)) is not ABSENT), ABSENT
        )
        if function is ABSENT:
            break
    lose(owner, name, "missing" if found is ABSENT else "not Python's own", at_import)
    return None


def _own(function: Any, word: str) -> Any:
    try:
        return getattr(function, word, ABSENT)
    except Exception:  # somebody's own object
        return ABSENT


def _folder_of(owner: Any, name: str) -> str:
    """Where the module's, or the class's that defines it, own file lies."""
    if not isinstance(owner, ModuleType):
        definer = next((kind for kind in owner.__mro__ if name in vars(kind)), owner)
        owner = sys.modules.get(definer.__module__)
    return _folder(getattr(owner, "__file__", None) or "")


def _folder(file: str) -> str:
    return file.rpartition(os.sep)[0]


def running_loop() -> Any:
    """The loop that runs in this thread; None if none does, or if asyncio does not tell."""
    events = sys.modules.get("asyncio.events")
    return None if events is None else borrowed(events, "_get_running_loop", _nobody)()


def _nobody() -> None:
    return None


def raw(owner: Any, name: str) -> Any:
    """The attribute as the module, or the class or a base of it, holds it: no method is bound.

    What every object has does not count: it does nothing of what is looked for.
    """
    for space in (each for each in getattr(owner, "__mro__", (owner,)) if each is not object):
        found = vars(space).get(name, ABSENT)
        if found is not ABSENT:
            return found
    return ABSENT


def why_not_replaceable(owner: Any, name: str, is_static: bool = False) -> str:
    """Why nothing may stand in for this function; "" if something may.

    What is no function of a class is not called with the instance, and what stands in for it would be, unless
    it is meant for one that is not (`is_static`).
    """
    found = raw(owner, name)
    if found is ABSENT:
        return "missing"
    if isinstance(owner, type) and not is_static:
        fits = hasattr(type(found), "__get__") and not isinstance(found, BuiltinFunctionType)
    else:
        fits = callable(getattr(owner, name))
    return "" if fits else "no function"


def replaceable(owner: Any, name: str, is_static: bool = False) -> Any:
    """The function that something of ours may stand in for; None, told, if there is none."""
    why = why_not_replaceable(owner, name, is_static)
    if why:
        lose(owner, name, why)
        return None
    return getattr(owner, name)


def lose(owner: Any, name: str, why: str, at_import: bool = False) -> None:
    """Note that a name cannot be read."""
    loss = dotted(owner), name, why
    _lost.setdefault(loss, False)
    if at_import:
        _at_import.add(loss)


def dotted(owner: Any) -> str:
    """The name of a module or class, or of an object's class, as the table has it."""
    if isinstance(owner, ModuleType):
        return owner.__name__
    kind = owner if isinstance(owner, type) else type(owner)
    return f"{kind.__module__}.{kind.__qualname__}"


def losses() -> list[Problem]:
    """What has been lost since this was asked last, and by modules that are loaded."""
    new = [loss for loss, told in _lost.items() if not told or loss in _at_import]
    if not new:
        return []
    from concmagic.interpreter.borrowed import row_of

    for loss in new:
        _lost[loss] = True
    rows = [(loss, row_of(loss[0], loss[1])) for loss in new]
    told = [
        Problem.of("borrowed_lost", *loss, "what is seen by it" if row is None else row.serves)
        for loss, row in rows
        if row is None or row.serves  # else nothing is missing
    ]
    return list(dict.fromkeys(told))


def forget_told() -> None:
    """In a forked child: its parent tells what was lost before the fork."""
    _lost.clear()
    _at_import.clear()


class Patches:
    """A set of replaced attributes of modules and classes."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute; an inherited one is put on `owner` itself."""
        self._replaced.append((owner, name, vars(owner).get(name, ABSENT), value))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any], is_static: bool = False) -> bool:
        """Replace a function by what `make` makes of it; one that cannot be replaced stays, which is told."""
        original = replaceable(owner, name, is_static)
        if original is not None:
            self.set(owner, name, make(original))
        return original is not None

    def has(self, owner: Any, name: str) -> bool:
        """Whether that attribute is replaced already."""
        return any(one[0] is owner and one[1] == name for one in self._replaced)

    def stands(self, owner: Any, name: str) -> bool:
        """Whether that attribute is ours at this moment: nobody has replaced it since."""
        return any(
            one[0] is owner and one[1] == name and vars(owner).get(name, ABSENT) is one[3]
            for one in self._replaced
        )

    def restore(self) -> list[str]:
        """Put everything back, last first. Returns what another tool has replaced since, and keeps."""
        left = []
        for owner, name, original, value in reversed(self._replaced):
            if vars(owner).get(name, ABSENT) is not value:
                left.append(f"{owner.__name__}.{name}")
            elif original is ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._replaced.clear()
        return left


Action = Callable[[ModuleType], None]


@contextmanager
def on_import(package: str, action: Action) -> Iterator[None]:
    """Until the block ends: do this with a package now if it is there, else when it is imported."""
    module = sys.modules.get(package)
    if module is not None:
        action(module)
        yield
        return
    finder = _Finder(package, action)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.action = None
        if sys.meta_path is not None:  # else the interpreter is ending
            sys.meta_path[:] = [each for each in sys.meta_path if each is not finder]


class _Finder:
    """Finds the one package as the interpreter would, and is told when it has been executed."""

    def __init__(self, package: str, action: Action) -> None:
        self._package = package
        self.action: Action | None = action

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for every other name: the next finder's turn."""
        if name != self._package or self.action is None:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:  # another of ours may be among them
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)  # the instance's own: the class's shows again
            execute(module)
            if self.action is not None:
                self.action(module)

        loader.exec_module = exec_module
