"""From a table of locks to plain data: what was waited for gets the name that the notebook has for it."""

from __future__ import annotations

import _thread
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from concmagic.code_owner import owner_of
from concmagic.interpreter.called_names import called_name
from concmagic.interpreter.recorded_calls import TAKING
from concmagic.recording.locks.futex_addresses import LockAddresses
from concmagic.recording.locks.lock_holders import LockTable
from concmagic.recording.locks.lock_sites import Chains, Row, made_of_locks
from concmagic.recording.locks.notifications import Row as Notification
from concmagic.source_lookup import Sources, line_of, lock_names

if TYPE_CHECKING:
    from concmagic.records.handed_over import CallSite, LockLog, Standing


_MOST_ITEMS = 1_000  # of one container that are looked at
_MOST_LOOKED = 50_000  # things, over all
_HIDDEN = ("In", "Out")  # IPython's own names; they hold what the user's names hold
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type, ModuleType, type(_thread.allocate_lock))


def make_log(
    table: LockTable,
    addresses: LockAddresses | None,
    namespace: Mapping[str, Any],
    watched: Sequence[tuple[int, int]],
    counted_until_ns: int | None,
    observing_ns: int,
    notified: Sequence[Notification] = (),
) -> LockLog:
    """All that is known, at the end of a recording."""
    from concmagic.records.handed_over import LockLog, LockObject, LockWait  # made late: a child waits

    chains = table.chains
    of_address: dict[int, int] = {}
    if addresses is not None:
        of_address = _addressed(chains, addresses)
    for named in chains.objects:
        named.made = named.made or table.creations.of(named.ref())
    found = _by_identity(table, namespace)
    sites = _Sites()
    rows, standing = _with_looks(chains, addresses)
    names = _told_apart(_with_source_names(chains, found), _known_first(chains, found))
    return LockLog(
        objects=tuple(
            LockObject(
                one.kind,
                name,
                one.state.serial if one.state else 0,
                one.waits,
                one.wait_ns,
                None if name or one.made is None else sites.of(one.made[0]),
                one.made[1] if one.made is not None else 0,
            )
            for one, name in zip(chains.objects, names, strict=True)
        ),
        waits=tuple(map(LockWait._make, table.waits)),
        chains=tuple(tuple(map(sites.of, chain)) for chain in rows),
        watched=tuple(watched),
        counted_until_ns=counted_until_ns,
        observing_ns=observing_ns,
        merged=table.merged,
        addresses=tuple(of_address.items()),
        frames=tuple(addresses.stopped) if addresses is not None else (),
        standing=standing,
        notified=tuple(notified),
        native=frozenset(one for one in {look.chain for look in standing} if _is_in_native_code(rows[one])),
    )


def _with_looks(
    chains: Chains, addresses: LockAddresses | None
) -> tuple[list[tuple[Row, ...]], tuple[Standing, ...]]:
    """All chains, those of looks behind those of waits; and the looks, with the numbers that theirs have."""
    if addresses is None:
        return chains.rows, ()
    if addresses.chains is chains:
        return chains.rows, tuple(addresses.standing)
    moved = [look._replace(chain=look.chain + len(chains.rows)) for look in addresses.standing]
    return [*chains.rows, *addresses.chains.rows], tuple(moved)


def _is_in_native_code(rows: tuple[Row, ...]) -> bool:
    """Whether what sleeps here does so in native code: Python has no lock that is taken by this call."""
    code, offset = rows[0]
    if owner_of(code.co_filename) == "stdlib":
        return False
    called = called_name(code, offset)
    return called is not None and called not in TAKING


def _addressed(chains: Chains, addresses: LockAddresses) -> dict[int, int]:
    """By address the numbers of objects: those waited for, and all that there are now."""
    numbers = dict(addresses.objects)
    for address, reference in addresses.found.items():
        if address not in numbers and reference() is not None:
            numbers[address] = chains.object_of(None, reference, None, -1)
    return numbers


def _by_identity(table: LockTable, namespace: Mapping[str, Any]) -> dict[int, str]:
    """By id the names in the notebook; locks that never kept anyone waiting count if they have one."""
    living = {id(target): target for one in table.chains.objects if (target := one.ref()) is not None}
    states = {id(lock): state for state in list(table.counted.values()) if (lock := state.ref()) is not None}
    names = names_of({*living, *states}, namespace)
    for key, state in states.items():
        lock = state.ref()
        if key in names and key not in living and state.serial and lock is not None:
            table.chains.object_of(None, state.ref, state, -1)
    return names


def _with_source_names(chains: Chains, found: Mapping[int, str]) -> list[str]:
    """One name per object: that of the notebook, else what stands in the source where it was waited for."""
    sources = Sources(lock_names)
    names = []
    for one in chains.objects:
        target = one.ref()
        name = found.get(id(target), "") if target is not None else ""
        if not name and one.chain >= 0:
            code, offset = chains.rows[one.chain][-1]
            name = (sources.at(code, offset) if owner_of(code.co_filename) == "user" else None) or ""
        names.append(name)
    return names


def _known_first(chains: Chains, found: Mapping[int, str]) -> list[int]:
    """The numbers of all objects, those first that have their name in the notebook now."""
    return sorted(
        range(len(chains.objects)), key=lambda number: id(chains.objects[number].ref()) not in found
    )


def _told_apart(names: list[str], order: list[int]) -> list[str]:
    """Names of which no two are alike: a second `lock` is `lock (2)`; who comes first in order keeps it."""
    seen: Counter[str] = Counter()
    told = list(names)
    for number in order:
        name = names[number]
        seen[name] += bool(name)
        if seen[name] > 1:
            told[number] = f"{name} ({seen[name]})"
    return told


class _Sites:
    """Places in code, each looked up once: very many locks are made at the same few."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], CallSite] = {}  # codes by id: the rows keep them alive

    def of(self, row: Row) -> CallSite:
        """Where an instruction stands."""
        code, offset = row
        found = self._known.get((id(code), offset))
        if found is None:
            from concmagic.records.handed_over import CallSite

            found = CallSite(code.co_qualname, code.co_filename, line_of(code, offset))
            self._known[id(code), offset] = found
        return found


def names_of(wanted: Iterable[int], namespace: Mapping[str, Any]) -> dict[int, str]:
    """By id the names of these objects, found by identity: a global, an item or an attribute of one.

    No code of the user's runs for it.
    """
    missing = set(wanted)
    found: dict[int, str] = {}
    for name, value in _walk(namespace):
        if not missing:
            break
        if id(value) in missing:
            missing.discard(id(value))
            found[id(value)] = name
    return found


def _walk(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, the shortest way to each first: globals, what is in them, what is in that."""
    made = made_of_locks()
    level = [(name, value) for name, value in list(namespace.items()) if _is_the_users(name)]
    looked = 0
    for _ in range(3):
        following: list[tuple[str, Any]] = []
        for name, value in level:
            yield name, value
            looked += 1
            if looked > _MOST_LOOKED:
                return
            following += _inside(name, value, made)
        level = following


def _is_the_users(name: str) -> bool:
    return not name.startswith("_") and name not in _HIDDEN


def _inside(name: str, value: Any, made: tuple[type[Any], ...]) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind in _PLAIN:
        return
    if kind in (list, tuple):
        yield from ((f"{name}[{index}]", item) for index, item in enumerate(value[:_MOST_ITEMS]))
    elif kind is dict:
        items = list(value.items()) if len(value) <= _MOST_ITEMS else []
        yield from ((f"{name}[{key!r}]", item) for key, item in items if type(key) in (str, int))
    else:
        attributes = _attributes(value)
        # What a queue is made of has the queue's name: the user knows no other.
        is_made = issubclass(kind, made)
        yield from ((name if is_made else f"{name}.{key}", item) for key, item in attributes)


def _attributes(value: Any) -> list[tuple[str, Any]]:
    """An instance's own attributes, as it has them; nothing of the user's is asked."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return []
    if type(attributes) is not dict or len(attributes) > _MOST_ITEMS:
        return []
    return [(key, item) for key, item in list(attributes.items()) if type(key) is str]
