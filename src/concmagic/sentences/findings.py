"""What the lints say."""

from __future__ import annotations

from concmagic.sentences.numbers import count, duration

LINT_BLOCKED_EVENT_LOOP = "A task that does not await keeps every other task of its event loop from running."
LINT_LEFT_RUNNING = "What a cell leaves running goes on behind later cells."
LINT_EXCEPTION_IN_THREAD = "An exception ends its thread only; the cell does not see it."
LINT_CHILD_DIED = "A child process that dies takes its result with it."
LEFT_RUNNING_HINT = "Wait for it: await the task, join the thread or process, or leave the pool's with block."
EXCEPTION_IN_THREAD_HINT = "A thread pool's future.result() would raise it here."
NO_FINDINGS = "The checks found nothing that made this cell slower."


def lint_failed(name: str, error: BaseException) -> str:
    """A check that could not be made."""
    return f"The check {name} failed ({type(error).__name__}: {error})."


def computing_in(name: str) -> str:
    """What held the loop where it was no blocking call."""
    return f"a step of {name}"


def blocked_loop(
    held_ns: int, wall_ns: int, what: str, where: str, times: int, ready: int, who: str = ""
) -> str:
    """The loop was held while others were ready."""
    at = f" at {where}" if where else ""
    often = f", {times:,} times," if times > 1 else ""
    were = "was" if ready == 1 else "were"
    return (
        f"For {of_total(held_ns, wall_ns)} nobody else could run: {what}{at}{often} "
        f"blocked the loop while {count(ready, 'task')} {were} ready{f' ({who})' if who else ''}."
    )


def blocked_in_places(lost_ns: float, wall_ns: int, places: int, lines: list[int]) -> str:
    """Several calls held the loop, one after the other."""
    at = f", at lines {names([str(line) for line in lines], 5)}" if len(lines) > 1 else ""
    return (
        f"For {of_total(lost_ns, wall_ns)} tasks were ready and could not run: "
        f"{count(places, 'call')} blocked the loop{at}."
    )


def blocked_loop_hint(called: str) -> str:
    """What would help."""
    if called == "time.sleep":
        return "await asyncio.sleep(…) lets the others run meanwhile."
    if called:
        return f"await asyncio.to_thread(…) moves {called} off the loop, or use its async counterpart."
    return "Computing belongs into a process, or between awaits: await asyncio.sleep(0) now and then."


def of_total(part_ns: float, total_ns: float) -> str:
    """Write a part of a whole with one unit where both have it: "300 of 352 ms", "1.2 of 6 s"."""
    part, whole = duration(part_ns), duration(total_ns)
    number_text, _, unit = part.partition(" ")
    return f"{number_text} of {whole}" if unit and whole.endswith(f" {unit}") else f"{part} of {whole}"


def names(all_names: list[str], most: int) -> str:
    """Write "a", "a and b", "a, b and 3 more"."""
    if len(all_names) <= most:
        *first, last = all_names
        return f"{', '.join(first)} and {last}" if first else last
    return f"{', '.join(all_names[: most - 1])} and {len(all_names) - most + 1:,} more"


def left_running(all_names: list[str], most: int) -> str:
    """What goes on after the cell."""
    verb = "is" if len(all_names) == 1 else "are"
    return f"{names(all_names, most)} {verb} still running after the cell."


def exception_in_thread(name: str, error: str, where: str) -> str:
    """A thread that died of an exception."""
    at = f" ({where})" if where else ""
    return (
        f"Thread {name} ended with {error.removeprefix('raised ')}{at}; the cell went on without its result."
    )


def child_died(name: str, outcome: str, detail: str, job: str = "") -> str:
    """A child process that did not end well."""
    how = f"ended with {outcome}" if outcome.startswith("exit code") else f"was {outcome}"
    at_work = f" while it ran {job}" if job else ""
    return f"Process {name} {how}{at_work}{f': {detail}' if detail else ''}."


_CRASHED = "It crashed in native code: python -X faulthandler shows where."
_CAUSES = {
    "killed by SIGKILL": "Somebody sent it kill -9, or it needed more memory than there is: the system ends such a process.",
    "killed by SIGSEGV": _CRASHED,
    "killed by SIGILL": _CRASHED,
    "killed by SIGFPE": _CRASHED,
    "killed by SIGABRT": "A native library gave up (abort): its message is on the terminal that runs the notebook.",
    "killed by SIGBUS": "It used memory that a file no longer backs: a full /dev/shm, or a file cut short.",
    "killed by SIGXCPU": "It used more CPU time than its limit allows (ulimit -t).",
}
_OF_PYTHON = {
    "exit code 1": "An exception that nobody caught ended it, or sys.exit: what it printed tells which."
}
_OF_COMMANDS = {"exit code 126": "It may not be executed.", "exit code 127": "There is no such command."}


def child_died_hint(outcome: str, is_command: bool = False) -> str:
    """The usual cause of this end."""
    return (_CAUSES | (_OF_COMMANDS if is_command else _OF_PYTHON)).get(outcome, "")
