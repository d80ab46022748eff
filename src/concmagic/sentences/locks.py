"""Locks: what was not seen of them, and what waiting for them cost."""

from __future__ import annotations

from concmagic.sentences.numbers import count

NO_TOOL_FOR_LOCKS = (
    "Other tools have taken every place in sys.monitoring: which lock a thread waited for is not recorded."
)


def tool_for_locks_lost(owner: str) -> str:
    """Say that the cell gave our place in sys.monitoring up."""
    whose = f"{owner} has it now" if owner else "nobody has it now"
    return (
        f"The cell took away the place in sys.monitoring by which locks are watched ({whose}): "
        "from then on waits for locks may be missing."
    )


LOCKS_OF_WITH_UNSEEN = (
    "This Python's frames cannot be read: locks taken by `with` are known from samples only."
)


def look_at_locks_failed(error: Exception) -> str:
    """Where threads stand could not be seen at a moment."""
    why = f"{type(error).__name__}: {error}"
    return f"A look at where the threads stand failed: who waited for which lock then is not known ({why})."


def locks_no_longer_watched(operations: int) -> str:
    """So many takings and lettings go that watching them would have cost too much."""
    return (
        f"After {operations:,} operations on locks they were no longer watched one by one: "
        "from then on waits for locks come from samples."
    )


def lock_waits_merged(kept: int, merged: int) -> str:
    """More waits than are kept."""
    return (
        f"The first {kept:,} waits for locks are told one by one; "
        f"{count(merged, 'later one')} only counted in the totals."
    )


def lock_made_at(file: str, line: int) -> str:
    """What a lock without a name is called: "made at line 7"."""
    return f"made at {file}:{line}" if file else f"made at line {line}"


def lock_detail(name: str, held_by: str) -> str:
    """What was waited for, and who had it."""
    return ", ".join(part for part in (name, held_by and f"held by {held_by}") if part)


def lock_holders(names: list[str], more: int) -> str:
    """Who had a lock while another waited, in order."""
    distinct = list(dict.fromkeys(names))
    if more or len(distinct) > 3:
        return f"{distinct[-1]} last" if distinct else ""
    return " and ".join(distinct)


def waits_for_itself(name: str) -> str:
    """A thread that waits for what it has."""
    return f"{name} itself"


def lock_label(name: str, where: str) -> str:
    """How a lock is named in a sentence."""
    return f"`{name}`" if name else f"the lock at {where}" if where else "a lock"
