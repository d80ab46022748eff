"""What the sampler can say."""

from __future__ import annotations

NO_SAMPLER_HERE = (
    "Who is on a core cannot be sampled on this system (it has no /proc): "
    "waits for the GIL and for locks are not told apart."
)

_PROBLEMS = {
    "no-calls": "This system does not show in which call a thread waits: "
    "waits for the GIL and for locks are not told apart.",
    "many-threads": "Only the first {} threads were sampled: of the others only calls and CPU clocks are known.",
    "full": "The sampler's memory was full before the cell's end: what only it sees is unknown from then on.",
}


def sampler_problem(word: str) -> str:
    """What the helper process tells by a word of its own; "" where others say it."""
    name, _, number = word.partition(" ")
    return _PROBLEMS.get(name, "").format(number)


def sampled_seldom(rate_hz: float, asked_hz: float, wanted_hz: float) -> str:
    """Turns can be too short for the samples; why there were not more."""
    why = (
        "so as to take little of a busy machine"
        if asked_hz < 0.75 * wanted_hz
        else "because the machine let the sampler run no more often"
    )
    return (
        f"Threads were looked at {rate_hz:.0f} times a second, not {wanted_hz:.0f}, {why}: "
        "shorter turns are not seen one by one; totals are from CPU clocks."
    )


SAMPLER_STOPPED = (
    "The sampler's process had been stopped from outside (SIGSTOP or a debugger) and was given up: "
    "what only it sees is unknown in this cell. The next cell has a new one."
)


def sampler_lost(error: BaseException) -> str:
    """The helper process did not start, did not answer or has died."""
    kind = type(error).__name__
    return f"The sampler was lost ({kind}: {error}): what only it sees is unknown in this cell."
