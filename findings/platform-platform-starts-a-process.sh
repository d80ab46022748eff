#!/usr/bin/env bash
# CPython 3.11: platform.platform(), which only makes a text, starts a process (uname) the first time it is called;
# also with terse=True. platform.system() and platform.machine() start none.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
for call in 'system()' 'machine()' 'platform()' 'platform(terse=True)'; do
  python3 - "$call" <<'PY'
import platform, subprocess, sys

started = []
init = subprocess.Popen.__init__
def noting(self, args, *rest, **options):
    started.append(args if isinstance(args, str) else args[0])
    init(self, args, *rest, **options)
subprocess.Popen.__init__ = noting
eval("platform." + sys.argv[1])
print(f"platform.{sys.argv[1]}:", *started or ["nothing"])
PY
done | tee "$dir/seen"
diff "$dir/seen" - <<'EXPECTED'
platform.system(): nothing
platform.machine(): nothing
platform.platform(): uname
platform.platform(terse=True): uname
EXPECTED
