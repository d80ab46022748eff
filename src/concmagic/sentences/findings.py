"""What the lints say: a sentence for each kind of finding. What would help stands in `hints`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from concmagic.sentences.findings_of_pools import message_of_pools
from concmagic.sentences.numbers import count, duration, names, number, of_total
from concmagic.sentences.picture import all_outcomes, at_place, group_of_tasks, place, way_to
from concmagic.sentences.states_and_waits import StateWords, lock_label, resource_words

if TYPE_CHECKING:
    from concmagic.model import findings as of
    from concmagic.model.groups import Called

_MOST_NAMES = 3
_MOST_CALLS = 5
_CAPS = {"semaphore": "A semaphore", "connections": "A pool of connections", "workers": "-w"}
_MOST_LINKS = 4
_ANSWERS = {"join": "the end", "result": "a result"}  # what a thread gives who waits for it
_UNTIL = ", until a timeout ended it"
NO_FINDINGS = "The checks found nothing that made this cell slower."


def message_of(found: of.Values) -> str:
    """What was found, in a sentence."""
    from concmagic.model import findings as of

    match found:
        case of.BlockedLoop():
            return blocked_loop(found)
        case of.SmallBlocks():
            return small_blocks(found)
        case of.StarvedTask():
            return starved(found)
        case of.GilBound():
            return gil_bound(found)
        case of.GilHeld():
            return gil_held_while_waiting(found)
        case of.LockConvoy():
            return lock_convoy(found)
        case of.FewCores():
            return few_cores(found)
        case of.UnevenWork():
            return uneven_work(found)
        case of.Oversubscribed():
            return oversubscribed(found)
        case of.BusyMachine():
            return busy_machine(found)
        case of.SequentialAwaits():
            return sequential_awaits(found)
        case of.Capped():
            return capped(found)
        case of.NeverAwaited():
            return never_awaited(found)
        case of.NeverRetrieved():
            return never_retrieved(found)
        case of.Deadlock():
            return deadlock(found)
        case of.LeftRunning():
            return left_running(found)
        case of.ThreadDied():
            return exception_in_thread(found)
        case of.CheckFailed():
            return f"The check {found.lint} failed ({found.kind}: {found.text})."
        case _:
            return message_of_pools(found)


def what_held(hold: of.LoopHold) -> str:
    """What held the loop: a blocking call, or a step that computes."""
    if hold.state.state.value != "blocking":
        if hold.others:
            return f"steps of {hold.task} and {count(hold.others, 'other task')}"
        return f"a step of {hold.task}"
    detail = StateWords(hold.named).detail(hold.state)
    return " ".join(filter(None, (hold.call or hold.state.reason, f"({detail})" if detail else "")))


def blocked_loop(found: of.BlockedLoop) -> str:
    """The loop was held while others were ready."""
    at = at_place(found.hold.state.file, found.hold.state.line)
    often = f", {found.times:,} times," if found.times > 1 else ""
    were = "was" if found.ready == 1 else "were"
    return (
        f"For {of_total(found.held_ns, found.wall_ns)} nobody else could run: {what_held(found.hold)}{at}{often} "
        f"blocked the loop while {count(found.ready, found.hold.unit)} {were} ready "
        f"({_all(found.kept_waiting)})."
    )


def _all(tracks: Sequence[Called]) -> str:
    return names([group_of_tasks(*one) for one in tracks], _MOST_NAMES)


def small_blocks(found: of.SmallBlocks) -> str:
    """Many short blocking calls."""
    at = at_place(found.hold.state.file, found.hold.state.line)
    return (
        f"{what_held(found.hold)}{at} blocked the loop {found.times:,} times, together for "
        f"{of_total(found.held_ns, found.wall_ns)}, while others were ready "
        f"({_all(found.kept_waiting)})."
    )


def starved(found: of.StarvedTask) -> str:
    """A task that seldom had its turn."""
    kept, who = of_total(found.ready_ns, found.life_ns), group_of_tasks(*found.task)
    return f"{who} was ready but not served for {kept} of its life, far longer than the others."


def gil_bound(found: of.GilBound) -> str:
    """Threads that compute, one at a time."""
    return (
        f"For {of_total(found.contended_ns, found.wall_ns)} threads wanted the GIL while another had it: "
        f"{count(found.threads, 'thread')} computed, on {number(found.used)} of {count(found.cores, 'core')}."
    )


def gil_held_while_waiting(found: of.GilHeld) -> str:
    """A thread that waited and kept the GIL."""
    what = (f" ({found.reason})" if found.reason else "") + at_place(found.file, found.line)
    return (
        f"{found.name} kept the GIL for {of_total(found.kept_ns, found.wall_ns)} while it only waited{what}: "
        f"{count(found.others, 'thread')} wanted it and could not compute."
    )


def lock_convoy(found: of.LockConvoy) -> str:
    """Many waits for one lock."""
    name = resource_words(found.lock) if found.lock else ""
    label = lock_label(name, place(found.file, found.line) if found.line else "")
    return (
        f"For {of_total(found.contended_ns, found.wall_ns)} somebody waited for {label}: "
        f"{count(found.threads, found.kind)} waited {found.waits:,} times, {duration(found.wait_ns)} in all."
    )


def few_cores(found: of.FewCores) -> str:
    """More workers that compute than cores."""
    kind = "processes" if found.kind == "process" else f"{found.kind}s"
    return (
        f"For {of_total(found.lasting_ns, found.wall_ns)} more {kind} computed than there are cores: "
        f"up to {found.workers:,} on the {count(found.cores, 'core')} that this kernel may use."
    )


def uneven_work(found: of.UnevenWork) -> str:
    """One worker computed long after the others had ended."""
    return (
        f"{found.last} computed on its own for {of_total(found.alone_ns, found.wall_ns)}: "
        f"of {count(found.workers, 'worker')} it was the last to end."
    )


def oversubscribed(found: of.Oversubscribed) -> str:
    """Libraries' own threads beside workers that fill the cores already."""
    return (
        f"Native threads of libraries wanted {number(found.native)} cores beside {number(found.workers)} workers "
        f"that computed at once, on {count(found.cores, 'core')}."
    )


def busy_machine(found: of.BusyMachine) -> str:
    """A core was wanted, and the cell itself did not have them all."""
    return (
        f"For {of_total(found.lost_ns, found.wall_ns)} a core was wanted and not had, "
        "although the cell wanted no more cores than there are."
    )


def sequential_awaits(found: of.SequentialAwaits) -> str:
    """Waits one after the other that need not be."""
    calls = [call for _, call in found.calls]
    lines = [f"{line:,}" for line, _ in found.calls]
    what = f"{names(calls, _MOST_CALLS)} at lines {names(lines, _MOST_CALLS)}"
    if len(calls) == 1 or found.times != len(calls):
        what = f"{found.times:,} × await {calls[0]} at {place('', found.calls[0][0])}"
    return (
        f"{what} waited one after the other, "
        f"{duration(found.took_ns)} in all: at once they would take about {duration(found.saved_ns)} less."
    )


def capped(found: of.Capped) -> str:
    """A semaphore or pool that bounds how many get on at once; those behind it are in flight, too."""
    what = f"`{found.name}`" if found.name else _CAPS[found.by]
    if found.by == "workers":
        return (
            f"`-w {found.most:,}` let no more than {found.most:,} items through at once, and they mostly waited: "
            f"{found.queued:,} more came one by one, for {duration(found.wait_ns)}."
        )
    # Where a library's own coroutine is the task's, a line in there tells nothing.
    is_known = found.by == "semaphore" or not found.file
    where = f", {place(found.file, found.line)}," if is_known else ""
    queued = f"{found.queued:,} queued for {duration(found.wait_ns)}"
    return f"{what}{where} let no more than {found.most:,} through at once: {queued}."


def never_awaited(found: of.NeverAwaited) -> str:
    """A coroutine that never ran."""
    often = f" {found.times:,} times" if found.times > 1 else ""
    return f"{found.name}() was called{often}{at_place('', found.line)} and never awaited: nothing of it ran."


def never_retrieved(found: of.NeverRetrieved) -> str:
    """A task that failed unseen."""
    error = found.outcome.message or found.outcome.error
    if len(found.outcomes) > 1:
        error = all_outcomes(found.outcomes, found.outcome.message)
    return f"Task {group_of_tasks(*found.task)} failed with {error}, and nothing asked for its result."


def waits_for(link: of.WaitLink) -> str:
    """One link of a chain of waits: who waits, for what and whom, and where."""
    wait = link.wait
    what = " ".join(
        word for word in (wait.reason or "something", StateWords(link.named).detail(wait)) if word
    )
    if wait.reason == "task" and link.whom:
        what = f"task {link.whom}"
    elif wait.reason in _ANSWERS and (wait.facts.job or link.whom):
        what = f"{_ANSWERS[wait.reason]} of {wait.facts.job or link.whom}"
    elif link.whom and not wait.holders and not link.is_thread:  # else the wait says it already
        what = f"{what} (task {link.whom})"
    where = f" ({place(wait.file, wait.line)})" if wait.line else ""
    return f"{link.name} waits for {what}{where}"


def deadlock(found: of.Deadlock) -> str:
    """Who waits for whom, and why that has no end."""
    if found.kind == "own loop":
        link = found.links[0]
        at = at_place(link.wait.file, link.wait.line)
        waits = "waits" if not found.is_over else f"waited for {of_total(found.lasted_ns, found.wall_ns)}"
        return (
            f"Deadlock{_UNTIL if found.is_over else ''}: {link.name} {waits}{at} for a result of its own event loop, "
            f"which cannot go on meanwhile."
        )
    if found.kind == "nobody left":
        told = [waits_for(link) for link in found.links]
        whom = "it" if len(told) == 1 else "them"
        return f"Deadlock: {names(told, _MOST_LINKS)}; the cell has no thread left that could wake {whom}."
    return f"Deadlock: {still_waiting(found.links)}"


def still_waiting(links: tuple[of.WaitLink, ...]) -> str:
    """What a task waited for when the time was up, and what that one waited for …"""
    return f"{', '.join(map(waits_for, links))}."


def left_running(found: of.LeftRunning) -> str:
    """What goes on after the cell."""
    verb = "is" if len(found.left) == 1 else "are"
    return f"{_all(found.left)} {verb} still running after the cell."


def exception_in_thread(found: of.ThreadDied) -> str:
    """A thread that died of an exception."""
    way = way_to(found.outcome.traceback)
    error = (found.outcome.message or found.outcome.error) + (f" ({way})" if way else "")
    return f"Thread {found.name} ended with {error}; the cell went on without its result."
