"""Packs a function or class of the notebook, with all it needs, through cloudpickle.

Four things are changed from cloudpickle's own way. A function's globals are the receiver's
`__main__`, so that what an initializer stores there is seen by the jobs. A name that the child
has bound itself stays the child's. A class that the receiver has already is left as it is: the
notebook's own class must not be filled anew by an instance that comes back. And code keeps the
name of its file, which cloudpickle drops from 3.1.3 on: by it the child's tracebacks find their lines.
"""

from __future__ import annotations

import hashlib
import io
import linecache
import sys
import types
import weakref
from collections import ChainMap
from multiprocessing.reduction import ForkingPickler
from typing import Any

import cloudpickle

from concmagic import sentences
from concmagic.interpreter import notebook_internals, process_internals
from concmagic.recording.children import pickling

notebook_internals.pack_with(cloudpickle.cloudpickle)

_NOTHING = object()
given: dict[str, Any] = {}  # what was put into this process's `__main__`, by name
_complete: weakref.WeakSet[type] = weakref.WeakSet()  # classes that this process has whole


class _MainSpace(dict[str, Any]):
    """Stands for `__main__`'s namespace while a function is packed."""


class NotebookPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler, with the changes told above and multiprocessing's own reducers."""

    def __init__(self, file: io.BytesIO) -> None:
        own = {types.CodeType: _reduce_code}
        # Before the base's __init__, which reads it once.
        self.dispatch_table = ChainMap(own, notebook_internals.extra_reducers(), self.dispatch_table)  # type: ignore[has-type]
        super().__init__(file)
        main = vars(sys.modules["__main__"])
        # A filled stand-in, so that cloudpickle adds nothing of its own to it.
        self.globals_ref[id(main)] = _MainSpace(__name__="__main__")
        self.sources: dict[str, list[str]] = {}

    def reducer_override(self, value: Any) -> Any:
        """cloudpickle's way with a value, changed for globals, caches, classes, functions."""
        if type(value) is _MainSpace:
            return main_space, ()
        if type(value) is pickling._CACHED_FUNCTION:
            return self._reduce_cached(value)
        plan = super().reducer_override(value)
        if plan is NotImplemented or len(plan) != 6:
            return plan
        if isinstance(value, type):
            return self._reduce_class(value, plan)
        self._note_source(value.__code__.co_filename)
        return (*plan[:5], fill_function)

    def _reduce_cached(self, value: Any) -> Any:
        if value.__module__ not in pickling._MAINS:
            return NotImplemented
        parameters = value.cache_parameters()
        return make_cached, (value.__wrapped__, parameters["maxsize"], parameters["typed"])

    def _reduce_class(self, value: type, plan: Any) -> Any:
        make, arguments, state, *_ = plan
        _complete.add(value)
        return make_class, (arguments[-2], make, arguments), state, None, None, fill_class

    def _note_source(self, name: str) -> None:
        entry = linecache.cache.get(name)
        if entry is not None and len(entry) == 4 and entry[1] is None:
            self.sources[name] = entry[2]


def _reduce_code(code: types.CodeType) -> Any:
    make, arguments = notebook_internals.reduced_code(code)
    return make_code, (make, arguments, code.co_filename)


def pack(value: Any) -> bytes:
    """Pickle one function or class with all it needs.

    Raises TypeError that names what cannot be sent, and the variable that holds it.
    """
    try:
        return _dump(value)
    except Exception as error:
        culprit = _culprit(value)
        name = getattr(value, "__qualname__", repr(value))
        if culprit is None:
            raise TypeError(sentences.cannot_be_sent(name, str(error))) from error
        raise TypeError(sentences.variable_cannot_be_sent(name, *culprit)) from None  # which tells it all


def _dump(value: Any) -> bytes:
    file = io.BytesIO()
    pickler = NotebookPickler(file)
    pickler.dump((value, pickler.sources))
    return file.getvalue()


def token_of(value: Any, data: bytes) -> str:
    """The name of a parcel: equal contents have equal names, but two closures have two."""
    token = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return f"{token}-{id(value):x}" if getattr(value, "__closure__", None) else token


def _culprit(value: Any) -> tuple[str, str] | None:
    """Name and type of the first variable behind `value` that cannot be pickled by itself."""
    for name, held in _variables(value, set()).items():
        try:
            _dump(held)
        except Exception:
            return name, _type_name(held)
    return None


def blame(process_obj: Any) -> str:
    """Which argument of a Process cannot be sent, as a sentence; "" if all can."""
    named = {"its target": process_internals.target_of(process_obj), **_arguments(process_obj)}
    for name, held in named.items():
        try:
            ForkingPickler.dumps(held)
        except RuntimeError:
            continue  # what may be inherited only: it was no spawning moment any more
        except Exception:
            return sentences.argument_cannot_be_sent(name, _type_name(held), _notebook_name(held))
    return ""


def _arguments(process_obj: Any) -> dict[str, Any]:
    arguments, options = process_internals.arguments_of(process_obj)
    by_place = {f"argument {place}": held for place, held in enumerate(arguments, 1)}
    return {**by_place, **{f"argument {name}": held for name, held in options.items()}}


def _notebook_name(value: Any) -> str:
    """The notebook's variable that holds this very object, or ""."""
    names = [name for name, held in list(main_space().items()) if held is value]
    return next((name for name in names if not name.startswith("_")), "")


def _variables(value: Any, seen: set[int]) -> dict[str, Any]:
    """The variables that a function reads, those of the notebook's functions behind it too."""
    if id(value) in seen:
        return {}
    seen.add(id(value))
    found: dict[str, Any] = {}
    for function in _functions_of(value):
        names = notebook_internals.global_names(function.__code__)
        used = {name: function.__globals__[name] for name in names if name in function.__globals__}
        used.update(notebook_internals.closure_of(function))
        for name, held in used.items():
            inner = _variables(held, seen) if pickling._is_sendable(held) else {}
            found.update(inner)
            # One of the notebook's functions is never to blame itself; what it reads is.
            if not pickling._is_sendable(held):
                found[name] = held
    return found


def _functions_of(value: Any) -> list[types.FunctionType]:
    value = getattr(value, "__wrapped__", value)
    candidates = vars(value).values() if isinstance(value, type) else [value]
    return [one for one in candidates if isinstance(one, types.FunctionType)]


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


# ---- in the receiver ------------------------------------------------------------------------


def main_space() -> dict[str, Any]:
    """The globals of the notebook's functions in this process."""
    return vars(sys.modules["__main__"])


def make_code(make: Any, arguments: tuple[Any, ...], file: str) -> types.CodeType:
    """A code object that knows its file."""
    code: types.CodeType = make(*arguments)
    return code.replace(co_filename=file)


def make_cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    """A function of the notebook under functools.lru_cache; its cache starts empty."""
    import functools

    return functools.lru_cache(maxsize, typed)(function)


def make_class(token: str, make: Any, arguments: tuple[Any, ...]) -> Any:
    """The class itself where this process has it, else an empty one to be filled."""
    known = notebook_internals.known_class(token)
    return make(*arguments) if known is None else known


def fill_class(made: type, state: Any) -> type:
    """Give a class its attributes, unless it has them."""
    if made not in _complete:
        _complete.add(made)
        notebook_internals.set_class_state(made, state)
    return made


def fill_function(function: types.FunctionType, state: Any) -> None:
    """Give a function its attributes, and its globals those names that are not the child's own."""
    attributes, slots = state
    if function.__globals__ is main_space():
        slots = {**slots, "__globals__": _new_names(function.__globals__, slots["__globals__"])}
    notebook_internals.set_function_state(function, (attributes, slots))


def _new_names(space: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    new = {
        name: value
        for name, value in sent.items()
        if name not in space or space[name] is given.get(name, _NOTHING)
    }
    given.update(new)
    return new
