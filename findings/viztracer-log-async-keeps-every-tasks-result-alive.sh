#!/usr/bin/env bash
# VizTracer 1.1.1 with log_async=True keeps every task, and so its result, alive after the tracer has been
# stopped and cleared; without the option they go as their last reference goes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check viztracer==1.1.1
"$dir/venv/bin/python" - <<'PY' | tee "$dir/seen"
import asyncio, gc, weakref
from viztracer import VizTracer

class Result: pass
alive = []

async def job():
    result = Result()
    alive.append(weakref.ref(result))
    return result

async def main():
    for _ in range(20):
        await asyncio.create_task(job())

for log_async in (False, True):
    alive.clear()
    tracer = VizTracer(log_async=log_async, verbose=0)
    tracer.start()
    asyncio.run(main())
    tracer.stop()
    tracer.clear()
    gc.collect()
    print(f"log_async={log_async}: {sum(one() is not None for one in alive)} of {len(alive)} results alive")
PY
diff "$dir/seen" - <<'EXPECTED'
log_async=False: 0 of 20 results alive
log_async=True: 20 of 20 results alive
EXPECTED
