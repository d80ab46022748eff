#!/usr/bin/env bash
# `import viztracer` (1.1.1) imports trio where trio is installed, though nothing in the program uses it: its C
# extension asks for it as it is loaded. The import takes several times as long, and starts a process.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check viztracer==1.1.1
program='
import subprocess, sys
started = []
init = subprocess.Popen.__init__
def noting(self, args, *rest, **options):
    started.append(args if isinstance(args, str) else str(args[0]).rpartition("/")[2])
    init(self, args, *rest, **options)
subprocess.Popen.__init__ = noting
import viztracer
print("trio" in sys.modules, started)
'
{
  "$dir/venv/bin/python" -c "$program"
  "$dir/venv/bin/pip" install -q --disable-pip-version-check trio==0.34.0
  "$dir/venv/bin/python" -c "$program"
} | tee "$dir/seen"
diff "$dir/seen" - <<'EXPECTED'
False []
True ['ldconfig']
EXPECTED
