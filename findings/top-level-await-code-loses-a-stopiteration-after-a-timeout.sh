#!/usr/bin/env bash
# CPython 3.12 to 3.15: code compiled with PyCF_ALLOW_TOP_LEVEL_AWAIT, as notebooks compile a cell, has no guard that
# makes a RuntimeError of a StopIteration, as every `async def` has (and as this code had up to 3.11). Usually it
# leaves as it is. But if the code was last resumed by an exception thrown into it (a timeout, a cancellation), whoever
# awaits the code takes it for the code's end: the error is gone, and its argument is the value.
# Seen with 3.11.7, 3.12.1, 3.13.0, 3.14.10, 3.15.2. Every python3.x on the PATH is asked.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cat > "$dir/ask.py" <<'PY'
import ast, asyncio, sys, types

STEP = "await asyncio.sleep(0)\nraise StopIteration(3)"
TIMEOUT = """
try:
    async with asyncio.timeout(0.01):
        await asyncio.sleep(60)
except TimeoutError:
    pass
raise StopIteration(3)
"""

async def end_of(source):
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        return "value", await types.FunctionType(code, {"asyncio": asyncio})()
    except BaseException as error:
        return "error", type(error).__name__

seen = [asyncio.run(end_of(source)) for source in (STEP, TIMEOUT)]
print("after a step:", *seen[0], "| after a timeout:", *seen[1])
PY
for python in python3 python3.11 python3.12 python3.13 python3.14 python3.15; do
  minor=$("$python" -c 'import sys; print(sys.version_info.minor)' 2>/dev/null) || continue
  [ "$minor" -ge 11 ] || continue
  wanted="after a step: error StopIteration | after a timeout: value 3"
  [ "$minor" -ge 12 ] || wanted="after a step: error RuntimeError | after a timeout: error RuntimeError"
  seen=$("$python" "$dir/ask.py")
  echo "3.$minor: $seen"
  [ "$seen" = "$wanted" ]
done
