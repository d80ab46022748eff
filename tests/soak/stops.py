"""Cells that last until they are interrupted, and how each is to end."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

Clicks = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """A cell that one click ends, or two; `stdout` is None where the clicks decide what is printed."""

    name: str
    magic: str
    body: str
    header: str = ""
    clicks: Clicks = ()
    error: str = "KeyboardInterrupt"
    value: str | None = None
    stdout: str | None = "begun\n"


_BEGUN = "print('begun', flush=True)\n"
_ENDLESS = {
    "sleeping": _BEGUN + "time.sleep(60)",
    "computing": _BEGUN + "while True: spin(3)",
    "event": _BEGUN + "threading.Event().wait()",
    "lock": "lock = threading.Lock()\nlock.acquire()\n" + _BEGUN + "lock.acquire()",
    "awaiting": _BEGUN + "await asyncio.sleep(60)",
    "tasks": _BEGUN + "await asyncio.gather(*(asyncio.sleep(60) for _ in range(20)))",
    "group": "async with asyncio.TaskGroup() as g:\n    for _ in range(5): g.create_task(asyncio.sleep(60))\n"
    "    print('begun', flush=True)",
    "computing task": _BEGUN + "async def busy():\n    while True: spin(3)\nawait busy()",
    "asyncio.run": "async def main():\n    print('begun', flush=True)\n    await asyncio.sleep(60)\n"
    "asyncio.run(main())",
    "to_thread": _BEGUN + "await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.3) for _ in range(200)))",
    "executor": _BEGUN + "with cf.ThreadPoolExecutor(2) as p: list(p.map(time.sleep, [0.2] * 300))",
    "thread pool": _BEGUN + "with ThreadPool(2) as p: p.map(time.sleep, [0.2] * 300, 1)",
    "pool": "try:\n    with mp.get_context('fork').Pool(2) as p:\n        print('begun', flush=True)\n"
    "        p.map(time.sleep, [60] * 4)\nfinally: del p",
    "process executor": "with cf.ProcessPoolExecutor(2, mp.get_context('fork')) as p:\n"
    "    print('begun', flush=True)\n    list(p.map(time.sleep, [0.2] * 300))",
    "child": "p = mp.get_context('fork').Process(target=time.sleep, args=(60,))\np.start()\n"
    "try:\n    print('begun', flush=True)\n    p.join()\nfinally:\n    p.terminate()\n    p.join()\n"
    "    p.close()\n    del p",
    "command": _BEGUN + "subprocess.run(['sleep', '60'])",
}
_LOOPS = {
    "loop of threads": ("%%threads -w 2", "time.sleep(0.2)"),
    "loop of tasks": ("%%asyncio_trace", "await asyncio.sleep(60)"),
    "loop of processes": ("%%procs -w 2 --start-method fork", "import time\ntime.sleep(60)"),
}
_CLEAN = "\n    ".join(("print('cleaning', flush=True)", "time.sleep({s})", "print('clean')"))
_CLEANING = {
    "caught": _BEGUN
    + "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    "
    + _CLEAN
    + "\n    r = 'kept'\nr",
    "caught loop": _BEGUN + "seen = []\ntry:\n    while True:\n        seen.append(spin(1))\n"
    "except KeyboardInterrupt:\n    " + _CLEAN + "\n    r = 'kept'\nr",
    "finally": _BEGUN + "try:\n    threading.Event().wait()\nfinally:\n    " + _CLEAN,
    "exit of with": "@contextlib.contextmanager\ndef instrument():\n    try: yield\n    finally:\n        "
    + _CLEAN.replace("\n", "\n    ")
    + "\nwith instrument():\n    print('begun', flush=True)\n    time.sleep(60)",
    "pool in an instrument": "@contextlib.contextmanager\ndef instrument():\n    try: yield\n"
    "    finally:\n        "
    + _CLEAN.replace("\n", "\n    ")
    + "\nwith instrument():\n    with cf.ThreadPoolExecutor(2) as p:\n"
    "        print('begun', flush=True)\n        list(p.map(time.sleep, [0.2] * 300))",
    "awaited": _BEGUN + "try:\n    await asyncio.sleep(60)\nfinally:\n"
    "    print('cleaning', flush=True)\n    await asyncio.sleep({s})\n    print('clean')",
    "awaited in a run": "async def main():\n    print('begun', flush=True)\n    try:\n"
    "        await asyncio.sleep(60)\n    finally:\n        print('cleaning', flush=True)\n"
    "        await asyncio.sleep({s})\n        print('clean')\nasyncio.run(main())",
}
_CAUGHT = ("caught", "caught loop")  # such a cell returns its value
_SHORT_S, _LONG_S = "0.4", "60"
COUNTED = "def counted(n):\n    print('begun', flush=True)\n    return range(n)"


def random_stop(rng: Random) -> Stop:
    """A cell and its clicks: at any moment after it has begun; the second while it cleans up, if it does."""
    magic = rng.choice(("%%asyncio_trace", "%%threads", "%%procs", "%%timeline"))
    first, gap_s = ("begun", rng.uniform(0, 0.4)), rng.uniform(0, 0.4)
    twice = rng.random() < 0.4
    which = rng.random()
    if which < 0.4:
        name = rng.choice(tuple(_CLEANING))
        if twice:
            body = _CLEANING[name].replace("{s}", _LONG_S)
            clicks = (first, ("cleaning", gap_s))
            return Stop(f"{name}, twice", magic, body, clicks=clicks, stdout="begun\ncleaning\n")
        caught = name in _CAUGHT
        return Stop(
            name,
            magic,
            _CLEANING[name].replace("{s}", _SHORT_S),
            clicks=(first,),
            error="" if caught else "KeyboardInterrupt",
            value="'kept'" if caught else None,
            stdout="begun\ncleaning\nclean\n",
        )
    clicks = (first, ("", gap_s)) if twice else (first,)
    if which < 0.6:
        name = rng.choice(tuple(_LOOPS))
        loop_magic, body = _LOOPS[name]
        return Stop(name, loop_magic, body, "for k in counted(200)", clicks)
    name = rng.choice(tuple(_ENDLESS))
    return Stop(name, magic, _ENDLESS[name], clicks=clicks)
