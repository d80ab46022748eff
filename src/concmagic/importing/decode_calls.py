"""RawCalls → Calls: VizTracer's event nodes as numpy columns. No Python loop over events.

Runs in the parent only, for all processes: numpy is not imported in children.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from concmagic.code_owner import is_ours
from concmagic.importing.call_columns import ANONYMOUS, Bools, Calls, Positions, nesting, positions, take
from concmagic.interpreter.event_nodes import (
    C_CLOSED,
    C_OPEN,
    CALL_OFFSET,
    FUNCTION_NODE,
    NODE_BYTES,
    PY_OPEN,
    EventNode,
    FunctionEvent,
)
from concmagic.model.trace import Int32s, Int64s
from concmagic.records.recording import RawCalls, RawCode

Nodes = npt.NDArray[np.void]
Addresses = npt.NDArray[np.uint64]


# A native call that concmagic's own code makes is left out with it, unless it took so long that
# the thread may have waited in it for the user's work.
_A_WAIT_NS = 100_000
_IN_CALL = ("owner", "method_name", "type_name", "type", "duration")
_ID, _ADDRESS = f"u{EventNode.native_id.size}", f"u{FunctionEvent.owner.size}"
_NODE = np.dtype(
    {
        "names": ["kind", "ts", "native_id", *_IN_CALL],
        "formats": [
            "i4",
            "i8",
            _ID,
            *(3 * [_ADDRESS]),
            "i4",
            "i8",
        ],
        "offsets": [
            EventNode.kind.offset,
            EventNode.ts.offset,
            EventNode.native_id.offset,
            *(CALL_OFFSET + getattr(FunctionEvent, name).offset for name in _IN_CALL),
        ],
        "itemsize": NODE_BYTES,
    }
)


def decode(raw: RawCalls, *, keep_own: bool = False) -> Calls:
    """Read the events; concmagic's own functions and threads are left out unless `keep_own`."""
    nodes = np.frombuffer(raw.nodes, _NODE)
    kind = nodes["type"].copy()
    is_c = (kind == C_CLOSED) | (kind == C_OPEN)
    function, functions = _functions(nodes, is_c, raw)
    wanted = nodes["kind"] == FUNCTION_NODE
    if raw.own_threads and not keep_own:
        wanted &= ~np.isin(nodes["native_id"], np.array(raw.own_threads, nodes["native_id"].dtype))
    is_open = (kind == PY_OPEN) | (kind == C_OPEN)
    start_ns, end_ns = _times(nodes, is_open, raw)
    native_id = nodes["native_id"].astype(np.int64)
    if not wanted.all():
        native_id, start_ns, end_ns = native_id[wanted], start_ns[wanted], end_ns[wanted]
        function, is_c, is_open = function[wanted], is_c[wanted], is_open[wanted]
    order, depth = _order(native_id, start_ns, end_ns)
    times = native_id[order], start_ns[order], end_ns[order]
    calls = Calls(*times, function[order], is_c[order], is_open[order], depth, functions)
    return calls if keep_own else _without_own(calls)


def _without_own(calls: Calls) -> Calls:
    own = np.array([is_ours(code.file) for code in calls.functions], np.bool_)[calls.function]
    if not own.any():
        return calls
    caller = calls.caller
    brief = calls.end_ns - calls.start_ns < _A_WAIT_NS
    return take(calls, ~own & ~(calls.is_c & brief & (caller >= 0) & own[caller]))


def _functions(nodes: Nodes, is_c: Bools, raw: RawCalls) -> tuple[Int32s, tuple[RawCode, ...]]:
    """An index for each event into the tuple of distinct functions."""
    addresses = np.array(sorted(raw.codes), np.uint64)
    functions = [raw.codes[address] for address in addresses.tolist()]
    names = sorted(set(raw.c_functions.values()))
    number = {name: len(functions) + at for at, name in enumerate(names)}
    functions += [RawCode(name, "", 0) for name in names] + [ANONYMOUS]
    owner = nodes["owner"].astype(np.uint64)
    index = np.full(len(nodes), len(functions) - 1, np.int32)
    at, known = _look_up(addresses, owner)
    np.copyto(index, at.astype(np.int32), where=known & ~is_c)
    rows = np.flatnonzero(is_c)
    if len(rows) and number:
        key = np.where(owner[rows] != 0, owner[rows], nodes["type_name"][rows].astype(np.uint64))
        index[rows] = _c_functions(nodes["method_name"][rows].astype(np.uint64), key, raw.c_functions, number)
    return index, tuple(functions)


def _c_functions(
    method: Addresses, key: Addresses, known: Mapping[tuple[int, int], str], number: Mapping[str, int]
) -> Int32s:
    """Look pairs of addresses up in a table of (method, module or type) → function."""
    methods = np.array(sorted({pair[0] for pair in known}), np.uint64)
    keys = np.array(sorted({pair[1] for pair in known}), np.uint64)
    anonymous = max(number.values()) + 1
    table = np.full((len(methods) + 1, len(keys) + 1), anonymous, np.int32)
    for (method_address, key_address), name in known.items():
        row = np.searchsorted(methods, np.uint64(method_address))
        table[row, np.searchsorted(keys, np.uint64(key_address))] = number[name]
    row_at, row_known = _look_up(methods, method)
    column_at, column_known = _look_up(keys, key)
    found: Int32s = table[row_at, column_at]
    return np.where(row_known & column_known, found, np.int32(anonymous))


def _look_up(known: Addresses, wanted: Addresses) -> tuple[Positions, Bools]:
    """Where each wanted address stands among the sorted known ones, and whether it does."""
    if not len(known):
        return np.zeros(len(wanted), np.intp), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def _times(nodes: Nodes, is_open: Bools, raw: RawCalls) -> tuple[Int64s, Int64s]:
    """Raw timestamps → CLOCK_MONOTONIC, along the line through the two pairs."""
    (first_raw, first_ns), (last_raw, last_ns) = raw.clock
    slope = (last_ns - first_ns) / (last_raw - first_raw) if last_raw > first_raw else 1.0
    ts = nodes["ts"].copy()
    # Counted back from the end: there the two clocks were compared nearest to the calls.
    start = last_ns + np.rint((ts - last_raw) * slope).astype(np.int64)
    ts += nodes["duration"]
    end = last_ns + np.rint((ts - last_raw) * slope).astype(np.int64)
    end[is_open] = last_ns
    np.maximum(end, start + 1, out=end)  # a call takes time: one of length 0 would not contain itself
    return start, end


def _order(native_id: Int64s, start_ns: Int64s, end_ns: Int64s) -> tuple[Positions, Int32s]:
    """The order that `Calls` has, and in it the depth of each."""
    start, end = positions(native_id, start_ns, end_ns)
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    if (start[1:] == start[:-1]).any():  # a coarse clock: the one that ends later contains the other
        again = np.lexsort((-end, start))
        order, start, end = order[again], start[again], end[again]
    return order, nesting(start, end)
