"""Names for the C functions of a recording, told from live functions only.

An event holds two addresses: of the function's name, and of its module's name or of the name of
the type of its `self`. They are compared with the same addresses in functions and types that are
alive now; what matches nothing stays without a name. The pair is needed because linkers merge
equal strings: one address of "acquire" serves several types.

The scheme: "module.function", with the module that defines it ("time.sleep", "posix.read",
"_socket.getaddrinfo"); "module.Type.method" for methods ("_thread.lock.acquire",
"_queue.SimpleQueue.get", "select.epoll.poll", "_io.FileIO.readinto"), built-in types without their
module ("list.append"). Two are named as people know them: methods of `_socket.socket` are
"socket.recv", of `_sqlite3` "sqlite3.Cursor.execute". A Python subclass of a type
whose methods may block takes that type's names.
"""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Iterable, Iterator

from concmagic.clock import builtin_time
from concmagic.interpreter.event_nodes import C_CLOSED, C_OPEN, object_at
from concmagic.interpreter.recorded_calls import BLOCKING_CALLS

_HEAD_BYTES = object.__basicsize__
_TYPE_NAME_AT = _HEAD_BYTES + ctypes.sizeof(ctypes.c_ssize_t)  # PyVarObject, then tp_name
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8  # Py_TPFLAGS_HEAPTYPE, Py_TPFLAGS_IMMUTABLETYPE

# Types whose methods may block are named in `BLOCKING_CALLS`; these, where a name and its place differ, or no
# method of theirs is named there.
_ELSEWHERE = {
    "_thread.lock": ("_thread", "LockType"),
    "sqlite3.Connection": ("_sqlite3", "Connection"),
    "sqlite3.Cursor": ("_sqlite3", "Cursor"),
    "socket": ("_socket", "socket"),
    "_io.BufferedWriter": ("_io", "BufferedWriter"),
    "_io.BufferedRandom": ("_io", "BufferedRandom"),
}
_BASE = "_io._IOBase"  # of most of the others, which have names of their own


def _types_that_block() -> dict[tuple[str, str], str]:
    """Module and attribute of each, and what its methods are called after."""
    found = {place: prefix for prefix, place in _ELSEWHERE.items()}
    for call in BLOCKING_CALLS:
        prefix = call.rpartition(".")[0]
        module, _, name = prefix.rpartition(".")
        if module and prefix not in (_BASE, *_ELSEWHERE):
            found[module, name] = prefix
    return found


_met: dict[type, None] = {}  # types written in C, in the order in which they were first seen


class _Method(ctypes.Structure):
    """PyMethodDef, as far as needed."""

    _fields_ = (("name", ctypes.c_void_p),)


class _Function(ctypes.Structure):
    """PyCFunctionObject."""

    _fields_ = (
        ("object_head", ctypes.c_byte * _HEAD_BYTES),
        ("method", ctypes.POINTER(_Method)),
        ("self", ctypes.c_void_p),
        ("module", ctypes.c_void_p),
    )


class _Descriptor(ctypes.Structure):
    """PyMethodDescrObject."""

    _fields_ = (
        ("object_head", ctypes.c_byte * _HEAD_BYTES),
        ("type", ctypes.c_void_p),
        ("name", ctypes.c_void_p),
        ("qualified_name", ctypes.c_void_p),
        ("method", ctypes.POINTER(_Method)),
    )


def function_address(function: types.BuiltinFunctionType) -> int:
    """Where the name of a live C function lies."""
    return int(_Function.from_address(id(function)).method.contents.name or 0)


def descriptor_address(descriptor: types.MethodDescriptorType) -> int:
    """Where the name of a live C method lies."""
    return int(_Descriptor.from_address(id(descriptor)).method.contents.name or 0)


def type_address(cls: type) -> int:
    """Where the name of a live type lies."""
    return int(ctypes.c_void_p.from_address(id(cls) + _TYPE_NAME_AT).value or 0)


def name_functions(signatures: Iterable[tuple[int, int, int, int]]) -> dict[tuple[int, int], str]:
    """Name what can be named of the C functions in an event buffer that is still held."""
    of_modules: dict[int, set[int]] = {}
    of_types: dict[int, set[int]] = {}
    for owner, method, type_name, kind in signatures:
        if kind in (C_OPEN, C_CLOSED):
            group, key = (of_modules, owner) if owner else (of_types, type_name)
            group.setdefault(key, set()).add(method)
    names: dict[tuple[int, int], str] = {}
    for module, methods in of_modules.items():
        names.update(_module_functions(module, methods))
    names.update(_methods(of_types))
    return names


def _module_functions(address: int, wanted: set[int]) -> Iterator[tuple[tuple[int, int], str]]:
    name = object_at(address)  # events hold a reference to it; nearly always a string
    module = sys.modules.get(name) if isinstance(name, str) else None
    if name == "time":  # others put functions of their own into the one that all share
        module = builtin_time
    if not isinstance(module, types.ModuleType):
        return
    for value in list(vars(module).values()):
        if type(value) is types.BuiltinFunctionType:
            method = function_address(value)
            if method in wanted:
                yield (method, address), f"{name}.{value.__name__}"


def _methods(of_types: dict[int, set[int]]) -> Iterator[tuple[tuple[int, int], str]]:
    unknown = set(of_types)
    for cls, prefix in _known_types():
        if not unknown:
            return
        address = type_address(cls)
        if address in unknown:
            unknown.discard(address)
            for method, name in _method_addresses(cls):
                if method in of_types[address]:
                    yield (method, address), f"{prefix or _dotted(cls)}.{name}"


def _known_types() -> Iterator[tuple[type, str]]:
    """Types with the prefix of their methods, those that may block first; "" is the type's own name."""
    for base, prefix in _blocking_types():
        for cls in _with_subclasses(base):
            yield cls, prefix
    # Looking through all classes takes a forked child a copy of nearly every page that they lie on.
    for cls in [*_met]:
        yield cls, ""
    for cls in _lasting_types(object):
        if cls not in _met:
            _met[cls] = None
            yield cls, ""


def _blocking_types() -> Iterator[tuple[type, str]]:
    for (module, attribute), prefix in _types_that_block().items():
        cls = getattr(sys.modules.get(module), attribute, None)
        if isinstance(cls, type):
            yield cls, prefix
    poll = getattr(sys.modules.get("select"), "poll", None)
    if poll is not None:  # the type itself is in no module
        yield type(poll()), "select.poll"


def _with_subclasses(cls: type) -> Iterator[type]:
    yield cls
    subclasses: list[type] = type.__subclasses__(cls)
    for subclass in subclasses:
        yield from _with_subclasses(subclass)


def _lasting_types(base: type) -> Iterator[type]:
    """Types written in C, whose names stay where they are as long as the process lives.

    Classes made by Python code come and go, and the memory of their names is used again: an event
    of a collected class could take the name of a later one.
    """
    subclasses: list[type] = type.__subclasses__(base)
    for cls in subclasses:
        flags = cls.__flags__
        if flags & _IMMUTABLE_TYPE or not flags & _HEAP_TYPE:
            yield cls
            yield from _lasting_types(cls)


def _dotted(cls: type) -> str:
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _method_addresses(cls: type) -> Iterator[tuple[int, str]]:
    for base in cls.__mro__:
        for name, value in list(vars(base).items()):
            if type(value) is types.MethodDescriptorType:
                yield descriptor_address(value), name
