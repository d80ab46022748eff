#!/usr/bin/env bash
# freezegun 1.5.5 replaces the functions of `time` in every loaded module that holds one, also under other names
# and also those imported long before: `from time import monotonic as now` is frozen. A built-in module can
# be made twice from its spec, though; the functions of the second instance are other objects, and go on.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check freezegun==1.5.5
cd "$dir"
echo 'from time import monotonic as now' >tool.py
"$dir/venv/bin/python" - <<'PY' | tee "$dir/seen"
import time
import tool

second = time.__spec__.loader.create_module(time.__spec__)
time.__spec__.loader.exec_module(second)
from freezegun import freeze_time

def moves(clock):
    before = clock()
    for _ in range(100_000):
        pass
    return clock() > before

with freeze_time("2020-01-01"):
    print("time.monotonic moves:", moves(time.monotonic))
    print("a module's own name for it moves:", moves(tool.now))
    print("the second instance's moves:", moves(second.monotonic))
PY
diff "$dir/seen" - <<'EXPECTED'
time.monotonic moves: False
a module's own name for it moves: False
the second instance's moves: True
EXPECTED
