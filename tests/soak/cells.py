"""Random cells: each follows from the seed and its number alone, so that it can be run again by itself."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from textwrap import indent

from tests.soak import parts
from tests.soak.faults import FAULTS, random_fault
from tests.soak.loops import random_loop
from tests.soak.stops import random_stop

MAGICS = ("%%asyncio_trace", "%%threads", "%%procs", "%%timeline")
STOPPED_SHARE = 0.14
FAULTY_SHARE = 0.34
LOOPS_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the soak.

    `plain` is what the other kernel runs; "" where the outcome is known: `error` or `value`, and `stdout`.
    `clicks` are interrupts: a text to wait for ("" for none) and seconds to wait then.
    """

    number: int
    kind: str
    source: str
    plain: str = ""
    after: str = ""
    same_text: bool = True
    fault: str = ""
    fault_delay_s: float = 0.0
    clicks: tuple[tuple[str, float], ...] = ()
    may_be_stopped: bool = False  # the clicks may come before it is over, or not
    error: str = ""
    value: str | None = None
    stdout: str | None = None


def random_cell(seed: int, number: int) -> Cell:
    """The cell of this number."""
    rng = Random(f"{seed}:{number}")
    if rng.random() < STOPPED_SHARE:
        return _stopped(rng, number)
    fault = random_fault(rng) if rng.random() < FAULTY_SHARE else ""
    delay_s = rng.choice((0.0, 0.0, rng.uniform(0, 0.2)))
    size = rng.choice(parts.SIZES)
    if rng.random() < LOOPS_SHARE:
        loop = random_loop(rng, size)
        if fault and not FAULTS[fault].spares(f"loop of {loop.name}"):
            fault = ""
        line = " ".join(filter(None, (loop.magic, loop.options, _options(rng, whole=False), loop.header)))
        if fault == "no threads":
            line = line.replace("--timeout 300 ", "")
        return Cell(
            number,
            f"loop of {loop.name}",
            f"{line}\n{loop.body}",
            loop.plain,
            loop.after,
            loop.same_text,
            fault,
            delay_s,
        )
    kind, body, plain = _whole(rng, size, fault)
    line = f"{rng.choice(MAGICS)} {_options(rng, whole=True)}".strip()
    if fault == "no threads":
        line = line.replace(" --timeout 300", "")  # it is refused where no thread can keep it
    plain, error = _known(kind, plain)
    source = f"{line}\n{body}"
    return Cell(number, kind, source, plain, fault=fault, fault_delay_s=delay_s, error=error)


def _known(kind: str, plain: str) -> tuple[str, str]:
    """The plain cell, "" where ours is known to end otherwise, and the error by which it then ends.

    A StopIteration cannot leave what awaits a magic's coroutine: it is told, and ends in another error.
    """
    return ("", "RuntimeError") if kind.startswith("awaiting") and kind.endswith("stop") else (plain, "")


_CLOSED = "finally:\n            p.close()"


def _stopped(rng: Random, number: int) -> Cell:
    if rng.random() < 0.25:  # a click at any moment of a cell that would end by itself
        kind, body, plain = _whole(rng, rng.choice(parts.SIZES), "")
        clicks = [("begun", rng.uniform(0, 0.3)), ("", rng.uniform(0, 0.3))][: rng.choice((1, 1, 2))]
        source = f"{rng.choice(MAGICS)} {_options(rng, whole=True)}".strip() + "\n"
        begun = "print('begun', flush=True)\n"
        # A closed pool waits for the job of a worker that the click has ended: also in a plain cell.
        body, plain = (text.replace(_CLOSED, _CLOSED.replace("close", "terminate")) for text in (body, plain))
        plain, error = _known(kind, begun + plain)
        return Cell(
            number,
            f"clicked {kind}",
            source + begun + body,
            plain,
            clicks=tuple(clicks),
            may_be_stopped=True,
            error=error,
        )
    stop = random_stop(rng)
    line = " ".join(filter(None, (stop.magic, _options(rng, whole=False), stop.header)))
    return Cell(
        number,
        f"stopped {stop.name}",
        f"{line}\n{stop.body}",
        clicks=stop.clicks,
        error=stop.error,
        value=stop.value,
        stdout=stop.stdout,
    )


def _whole(rng: Random, size: int, fault: str) -> tuple[str, str, str]:
    """Kind, body and plain body of a cell without a header."""
    spares = FAULTS[fault].spares if fault else lambda kind: True
    while True:
        model = rng.choice(
            ("awaiting", "awaiting", "run", "sync", "threads", "threads", "processes", "joblib")
        )
        if model == "joblib" and rng.random() < 0.7:
            continue
        table = {
            "awaiting": parts.AWAITING,
            "run": parts.AWAITING,
            "sync": parts.SYNC,
            "threads": parts.THREADS,
            "processes": parts.PROCESSES,
            "joblib": parts.JOBLIB,
        }[model]
        name = rng.choice(tuple(table))
        how = rng.choice(("fork", "fork", "fork", "spawn", "forkserver"))
        kind = f"{model} {name}" + (f" {how}" if model == "processes" else "")
        if spares(kind):
            break
    outcome = rng.choice(tuple(parts.OUTCOMES))
    body, plain = _filled(table[name], size, how), _filled(table[name], size, "fork")
    if model == "run":
        body = f"async def main():\n{indent(body, '    ')}\n    return r\nr = asyncio.run(main())"
        plain = f"async def main():\n{indent(plain, '    ')}\n    return r\nr = await main()"
        outcome = "value" if outcome == "stop" else outcome  # plain awaits: there it is another error
    end = parts.OUTCOMES[outcome]
    return f"{kind}, {outcome}", f"{body}\n{end}", f"{plain}\n{end}"


def _filled(part: str, size: int, how: str) -> str:
    return part.replace("{n}", str(size)).replace("{how}", how)


def _options(rng: Random, *, whole: bool) -> str:
    """Options that change nothing of what the cell does."""
    found = []
    if rng.random() < 0.3:
        found.append("-q")
    if rng.random() < 0.4:
        found.append(f"--detail {rng.choice(('auto', 'calls', 'states'))}")
    if rng.random() < 0.2:
        found.append("-o traced")
    if whole and rng.random() < 0.15:
        found.append("-r kept")
    if rng.random() < 0.15:
        found.append("--timeout 300")
    if rng.random() < 0.1:
        found.append('--predict "how long?"')
    if rng.random() < 0.1:
        found.append("--all")
    return " ".join(found)
