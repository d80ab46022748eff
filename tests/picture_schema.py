"""The schema of the picture's payload: as JavaScript, and as a check of a payload.

`make schema` (or `python tests/picture_schema.py`) writes the JavaScript; `test_picture_schema.py` tells
when that was forgotten.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from concmagic.renderers import palette, schema
from concmagic.renderers.palette import ORDER

SCRIPTS = Path(schema.__file__).parent / "html_resources"
TARGET = SCRIPTS / "timeline_schema.js"
_PLAIN = {int: "number", float: "number", str: "string", bool: "boolean"}
_CONSTANTS_USED = ("NOTHING", "SIXTEENTHS", "GROUP", "FOLD", "MACHINERY", "ENDED_WELL", "ENDED_BADLY")
_CODES_USED = (
    "RUNNING",
    "OUTSIDE",
    "UNKNOWN",
)  # categories that the script names; to all others it does the same


def javascript() -> str:
    """The whole text of `timeline_schema.js`."""
    rows = list(_rows())
    tables = [f'  {row.__name__}: "{" ".join(row._fields)}",' for row in rows]
    return "\n".join(
        [
            "// Generated from renderers/schema.py by `make schema`: change it there.",
            "",
            *_typedefs(rows),
            "",
            "const " + ", ".join(f"{name} = {value}" for name, value in _constants().items()) + ";",
            "",
            "/** The fields of each packed array, in their order. @type {{[K in keyof Rows]: string}} */",
            "const FIELDS = {",
            *tables,
            "};",
            "",
        ]
    )


def _typedefs(rows: list[Any]) -> Iterator[str]:
    for row in rows:
        yield from _typedef(row)
    yield "/** Every packed row, by its name."
    yield " * @typedef {object} Rows"
    yield from (f" * @property {{{row.__name__}}} {row.__name__}" for row in rows)
    yield " */"
    yield "/** A row as it is packed. @template {keyof Rows} K @typedef {unknown[] & {row?: K}} Packed */"
    for kind in (palette.Look, palette.Theme, schema.Words, schema.Calls, schema.Payload):
        yield from _typedef(kind)


def _typedef(kind: Any) -> Iterator[str]:
    yield f"/** {' '.join((kind.__doc__ or '').split())}"
    yield f" * @typedef {{object}} {kind.__name__}"
    yield from (f" * @property {{{_typescript(hint)}}} {name}" for name, hint in hints_of(kind).items())
    yield " */"


def _rows() -> Iterator[Any]:
    """The NamedTuples of the schema, in its order."""
    for one in vars(schema).values():
        if isinstance(one, type) and issubclass(one, tuple) and one.__module__ == schema.__name__:
            yield one


def _constants() -> dict[str, int]:
    own = {name: getattr(schema, name) for name in _CONSTANTS_USED}
    codes = {one.name: code for code, one in enumerate(ORDER) if one.name in _CODES_USED}
    assert len(codes) == len(_CODES_USED)
    return {**own, "STATES": len(ORDER), **codes}


def hints_of(kind: Any) -> dict[str, Any]:
    """The annotation of each field, in order; a table by state stands as a list in the order of codes."""
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(hints)
    return {
        name: list[get_args(hints[name])[1]]  # type: ignore[misc]
        if is_dataclass(kind) and get_origin(hints[name]) is dict
        else hints[name]
        for name in names
    }


def _typescript(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Literal:
        return " | ".join(f'"{word}"' for word in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(map(_typescript, arguments))
    if origin is Annotated:
        return str(arguments[1].__name__)
    if origin is list:
        inner = _typescript(arguments[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if origin is dict:
        return f"Record<string, {_typescript(arguments[1])}>"
    return f'Packed<"{hint.__name__}">' if issubclass(hint, tuple) else str(hint.__name__)


def misfit(value: Any, hint: Any, where: str = "payload") -> str:
    """Where a value as JSON gives it back is not what the schema says; empty if it is everywhere."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "" if value in arguments else f"{where}: {value!r}"
    if origin in (Union, types.UnionType):
        tried = [misfit(value, one, where) for one in arguments]
        return "" if "" in tried else tried[0]
    if origin is list:
        parts = [(one, arguments[0], f"{where}[{i}]") for i, one in enumerate(value)]
        return _first(parts) if isinstance(value, list) else f"{where}: {value!r}"
    if origin is dict:
        return _first([(one, arguments[1], f"{where}.{name}") for name, one in value.items()])
    if origin is Annotated:
        return misfit(value, arguments[1], where)
    if hint in _PLAIN:
        fits = isinstance(value, (int, float)) if hint is float else type(value) is hint
        return "" if fits else f"{where}: {value!r} is no {hint.__name__}"
    return _misfit_of_fields(value, hint, where)


def _misfit_of_fields(value: Any, kind: Any, where: str) -> str:
    hints = hints_of(kind)
    named = value if is_typeddict(kind) or is_dataclass(kind) else dict(enumerate(value))
    if len(named) != len(hints) or (named is value and set(value) != set(hints)):
        return f"{where}: not the fields of {kind.__name__}"
    keys = hints if named is value else range(len(hints))
    return _first(
        [(named[key], hint, f"{where}.{name}") for key, (name, hint) in zip(keys, hints.items(), strict=True)]
    )


def _first(parts: list[tuple[Any, Any, str]]) -> str:
    return next(filter(None, (misfit(*part) for part in parts)), "")


if __name__ == "__main__":
    TARGET.write_text(javascript(), encoding="utf-8")
