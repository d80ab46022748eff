#!/usr/bin/env bash
# IPython 9.18.1: a KeyboardInterrupt that comes while `!command` is being started (by pexpect, in a pseudo-terminal)
# leaves the cell as UnboundLocalError: the handler speaks to a child that has no name yet. Here it is raised by what
# starts the command, so that it comes exactly there.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check ipython==9.18.1 pexpect==4.9.0
"$dir/venv/bin/python" - <<'PY' 2>/dev/null | tee "$dir/seen"
import pexpect
from IPython.utils.process import system

def interrupted(*arguments, **options):
    raise KeyboardInterrupt

pexpect.spawn = interrupted
try:
    print("returns", system("true"))
except BaseException as error:
    print(type(error).__name__, "while handling", type(error.__context__).__name__)
PY
diff "$dir/seen" - <<'EXPECTED'
UnboundLocalError while handling KeyboardInterrupt
EXPECTED
