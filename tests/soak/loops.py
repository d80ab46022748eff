"""Random cells with a `for` header, and what a plain `for` over the same items does."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from textwrap import indent


@dataclass(frozen=True, slots=True)
class Loop:
    """A body under a header; `after` is an expression that has one value in both kernels afterwards."""

    name: str
    magic: str
    options: str
    header: str
    body: str
    plain: str
    after: str = ""
    same_text: bool = True  # of the error


_BODIES = {
    "threads": ("nap(k)", "work(k)", "with shared:\n    v = spin(k)\nv"),
    "asyncio": ("await asyncio.sleep(0.001, k)", "await asyncio.sleep(0)\nwork(k)"),
    "procs": ("work(k)", "spin(k)"),
}
_MAGIC = {"threads": "%%threads", "asyncio": "%%asyncio_trace", "procs": "%%procs"}
_MOST_SHOWN = 10  # of a longer list the middle is not shown
_MOST_ITEMS = {"threads": 100, "asyncio": 300, "procs": 30}
SHARED = "shared = threading.Lock()"  # what the bodies use of the notebook


def random_loop(rng: Random, size: int) -> Loop:
    """One loop of `size` items, under one of the models."""
    model = rng.choice(("threads", "threads", "asyncio", "asyncio", "procs"))
    items = min(size, _MOST_ITEMS[model])
    body = rng.choice(_BODIES[model])
    options = "" if model == "asyncio" and rng.random() < 0.5 else f"-w {rng.choice((1, 2, 4))}"
    if model == "procs":
        options = f"-w 2 --start-method {rng.choice(('fork', 'fork', 'fork', 'spawn', 'forkserver'))}"
    end = rng.choice(("value", "value", "named", "none", "fails", "keep going"))
    name = f"{model} {end}"
    header, after, same_text = f"for k in range({items})", "", True
    if end == "none":
        body += "\nx = k"
    elif end == "named" or (end == "value" and items > _MOST_SHOWN):
        options, after = f"{options} -r named", "list(named)"
    elif end in ("fails", "keep going"):
        body = f"1 / (k - {rng.randrange(items)})\n{body}"
        if end == "keep going":
            options, same_text = f"{options} --keep-going", False
    shown = items <= _MOST_SHOWN
    if not shown:
        body += ";"
    return Loop(
        name, _MAGIC[model], options, header, body, _plain(model, header, body, end), after, same_text
    )


def _plain(model: str, header: str, body: str, end: str) -> str:
    """The same loop as a plain cell."""
    *statements, last = body.split("\n")
    quiet = last.endswith(";")
    value = "None" if " = " in last else last.rstrip(";")
    statements = [*statements, last] if value == "None" else statements
    lines = "\n".join([*statements, f"return {value}"])
    define = "async def" if model == "asyncio" else "def"
    call = "await _one(k)" if model == "asyncio" else "_one(k)"
    function = f"{define} _one(k):\n{indent(lines, '    ')}\n"
    if end == "keep going":
        return (
            f"{function}errors = []\n{header}:\n    try: {call}\n    except Exception as error:\n"
            "        errors.append(error)\nif errors: raise ExceptionGroup('some', errors)"
        )
    shown = "" if quiet or end == "none" else "\nnamed"
    return f"{function}named = [{call} {header}]{shown}"
