"""Code of the notebook in child processes: `__main__`'s functions and classes travel by value.

multiprocessing pickles functions and classes by name, and a child that does not share the
kernel's memory has no such name in its `__main__`. A `reducer_override` on its pickler packs
them instead (pickler.py); parent and children install it, so that results may be the
notebook's own too. What every child inherited by fork still goes by name, as it would without us.

What loky's queues pickle goes through cloudpickle, which drops the name of a code's file from 3.1.3 on. By it
a worker's calls are known as the notebook's: there it is kept. What the user's own code gives to cloudpickle
comes out as ever, and a receiver needs nothing of ours to read it.
"""

from __future__ import annotations

import functools
import linecache
import operator
import pickle
import sys
import threading
import types
import weakref
from collections.abc import Callable
from functools import partial
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concmagic.code_owner import ours_only
from concmagic.interpreter.borrowing import lose
from concmagic.interpreter.frames_and_threads import hide_frame
from concmagic.interpreter.process_internals import dispatch_table
from concmagic.recording.guards import guarded

if TYPE_CHECKING:
    from typing import Protocol

    class Packer(Protocol):
        """What packs them: `pickler.py`, which takes long to import."""

        def pack(self, value: Any) -> bytes:
            """Pickle one function or class with all it needs."""

        def token_of(self, value: Any, data: bytes) -> str:
            """The name of a parcel."""


_MAINS = ("__main__", "__mp_main__")
_REMEMBERED = 256  # a job may bring a closure of its own each time
_INLINE_BYTES = 32_768  # what is larger goes once through a file, not through every job's pipe
_CACHED_FUNCTION = type(functools.lru_cache(lambda: None))

Reducer = Callable[[Any, Any], Any]

_local = threading.local()  # whether loky is pickling


class Courier:
    """What this process knows about sending and receiving the notebook's code."""

    def __init__(self) -> None:
        self.folder: Path | None = None  # where large parcels lie; None: all go inline
        self.shared: Callable[[Any], bool] = lambda value: False  # every receiver has it by fork
        self.load_packer: Callable[[], Packer] | None = None
        self.packer: Packer | None = None  # loaded with the first value that is sent
        self.generation = 0  # moved on when a new child may need newer values
        self.packed: weakref.WeakKeyDictionary[Any, tuple[int, str, bytes | str]] = (
            weakref.WeakKeyDictionary()
        )
        self.remembers = False  # a worker unpacks a function once, whatever its jobs; the kernel does not
        self.unpacked: dict[str, Any] = {}
        self.previous: Reducer | None = None
        self.after_unpack: Callable[[], None] = lambda: None


_courier = Courier()


def courier() -> Courier:
    """This process's own courier."""
    return _courier


def install(load_packer: Callable[[], Packer]) -> None:
    """Send `__main__`'s functions and classes by value from now on; what packs them is loaded when needed."""
    _courier.load_packer = load_packer
    current = ForkingPickler.__dict__.get("reducer_override")
    if current is _reduce:
        return
    _courier.previous = current
    ForkingPickler.reducer_override = _reduce  # type: ignore[method-assign]


def uninstall() -> None:
    """Put multiprocessing's pickler back as it was."""
    if ForkingPickler.__dict__.get("reducer_override") is not _reduce:
        return
    if _courier.previous is None:
        del ForkingPickler.reducer_override
    else:
        ForkingPickler.reducer_override = _courier.previous  # type: ignore[method-assign]
    _courier.previous = None


def _reduce(pickler: Any, value: Any) -> Any:
    """What pickle asks for every object that is not a plain builtin."""
    kind = type(value)
    if (
        (kind is types.FunctionType or kind is _CACHED_FUNCTION or isinstance(value, type))
        and getattr(value, "__module__", None) in _MAINS
        and not _courier.shared(value)
        and (packer := _packer()) is not None
    ):
        return unpack, _pack(packer, value)
    if _courier.previous is not None:
        return _courier.previous(pickler, value)
    return NotImplemented


def _packer() -> Packer | None:
    """The packer of functions and classes; None where it cannot be imported: then they go by name."""
    if _courier.packer is None and _courier.load_packer is not None:
        load = partial(_loaded, _courier.load_packer)
        _courier.packer = guarded(load, partial(lose, ForkingPickler, "reducer_override"))
    return _courier.packer


def _loaded(load: Callable[[], Packer]) -> Packer:
    with ours_only():
        return load()


def _pack(packer: Packer, value: Any) -> tuple[str, bytes | str]:
    """The value's token and its bytes, or the file that holds them."""
    known = _courier.packed.get(value)
    if known is not None and known[0] == _courier.generation and not is_spawning():
        return known[1], known[2]
    with ours_only():
        data = packer.pack(value)
    token = packer.token_of(value, data)
    parcel = _store(token, data)
    _courier.packed[value] = (_courier.generation, token, parcel)
    return token, parcel


def is_spawning() -> bool:
    """Whether what is pickled now is a new child's first: it gets the newest values."""
    return get_spawning_popen() is not None


def _store(token: str, data: bytes) -> bytes | str:
    if len(data) <= _INLINE_BYTES or _courier.folder is None:
        return data
    path = _courier.folder / f"{token}.parcel"
    try:
        if not path.exists():
            unfinished = path.with_suffix(f".{id(data):x}")
            unfinished.write_bytes(data)
            unfinished.rename(path)
    except OSError:
        return data  # a full disk: the pipe can take it
    return str(path)


def unpack(token: str, parcel: bytes | str) -> Any:
    """Bring a function or class of the notebook back to life; once per process and token."""
    if token in _courier.unpacked:
        return _courier.unpacked[token]
    data = Path(parcel).read_bytes() if isinstance(parcel, str) else parcel
    with ours_only():
        value, sources = pickle.loads(data)
    show_sources(sources)
    _courier.after_unpack()
    if _courier.remembers:
        _remember(token, value)
    return value


def _remember(token: str, value: Any) -> None:
    known = _courier.unpacked
    if len(known) >= _REMEMBERED:
        del known[next(iter(known))]
    known[token] = value


def show_sources(sources: dict[str, list[str]]) -> None:
    """Let tracebacks in this process show the lines of the notebook's cells."""
    for name, lines in sources.items():
        if name not in linecache.cache:
            linecache.cache[name] = (sum(map(len, lines)), None, lines, name)


def main_names() -> dict[str, tuple[int, int]]:
    """What a process forked now inherits in `__main__`: names of functions and classes, with
    address and version, so that one redefined later is told apart."""
    space = vars(sys.modules["__main__"])
    return {name: _version(value) for name, value in list(space.items()) if _is_sendable(value)}


def is_inherited(value: Any, names: dict[str, tuple[int, int]]) -> bool:
    """Whether `names` (of `main_names`) has this very value, under its own name."""
    name = getattr(value, "__qualname__", "")
    known = names.get(name)
    if known is None or known != _version(value):
        return False
    return vars(sys.modules["__main__"]).get(name) is value


def _is_sendable(value: Any) -> bool:
    return (
        isinstance(value, (types.FunctionType, type, _CACHED_FUNCTION))
        and getattr(value, "__module__", None) in _MAINS
    )


def _version(value: Any) -> tuple[int, int]:
    """Address and code: an address alone may be given out again."""
    return id(value), hash(getattr(value, "__code__", None))


class LokyFileNames:
    """cloudpickle's way with code objects, changed from `start` to `stop`."""

    def __init__(self) -> None:
        self._table: Any = None
        self._original: Any = None
        self._mine: Any = None

    def start(self) -> None:
        """Change it where it is loaded, once."""
        table = dispatch_table()
        if self._table is not None or table is None or types.CodeType not in table:
            return
        self._table, self._original = table, table[types.CodeType]
        self._mine = table[types.CodeType] = _with_file_name(self._original)

    def stop(self) -> None:
        """Put it back."""
        if self._table is not None and self._table.get(types.CodeType) is self._mine:
            self._table[types.CodeType] = self._original
        self._table = None


def loky_dumps(dumps: Callable[..., Any]) -> Callable[..., Any]:
    """loky's pickling, while which code keeps its file's name."""

    def wrapper(*arguments: Any, **options: Any) -> Any:
        _local.is_sending = True
        try:
            return dumps(*arguments, **options)
        except BaseException as error:
            hide_frame(error)
            raise
        finally:
            _local.is_sending = False

    return wrapper


class _Bare:
    """Unpickles to what cloudpickle makes of a code object."""

    def __init__(self, plan: tuple[Any, ...]) -> None:
        self._plan = plan

    def __reduce__(self) -> tuple[Any, ...]:
        return self._plan


def _with_file_name(
    original: Callable[[types.CodeType], tuple[Any, ...]],
) -> Callable[[types.CodeType], tuple[Any, ...]]:
    def reduce_code(code: types.CodeType) -> tuple[Any, ...]:
        plan = original(code)
        if not getattr(_local, "is_sending", False):
            return plan
        return operator.methodcaller("replace", co_filename=code.co_filename), (_Bare(plan),)

    return reduce_code
