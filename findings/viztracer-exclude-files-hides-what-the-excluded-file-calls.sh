#!/usr/bin/env bash
# VizTracer 1.1.1: exclude_files leaves out a file's own functions and everything that is called from them, also
# functions of files that are not excluded.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check viztracer==1.1.1
cd "$dir"
printf 'def shown():\n    return 1\n' >wanted.py
printf 'import wanted\ndef pass_on():\n    return wanted.shown()\n' >unwanted.py
cat >program.py <<'PY'
import unwanted, wanted
from viztracer import VizTracer

def names(**options):
    tracer = VizTracer(verbose=0, ignore_c_function=True, **options)
    tracer.start()
    unwanted.pass_on()
    wanted.shown()
    tracer.stop()
    tracer.parse()
    return [event["name"].split(" ")[0] for event in tracer.data["traceEvents"] if event["ph"] == "X"]

print("all:", sorted(names()))
print("without unwanted.py:", sorted(names(exclude_files=["unwanted.py"])))
PY
"$dir/venv/bin/python" program.py | tee "$dir/seen"
diff "$dir/seen" - <<'EXPECTED'
all: ['pass_on', 'shown', 'shown']
without unwanted.py: ['shown']
EXPECTED
