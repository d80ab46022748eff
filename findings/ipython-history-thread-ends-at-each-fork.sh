#!/usr/bin/env bash
# IPython 9.18 ends the thread that writes its history at every os.fork() of the kernel, and starts another one when the
# next cell begins. So the number of threads of a kernel changes with a fork of the user's, and where no
# thread can be started any more the cell after the fork fails before it runs.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check ipython==9.18.1 ipykernel==7.4.0 jupyter_client==8.10.0
"$dir/venv/bin/python" - <<'PY' 2>/dev/null | tee "$dir/seen"
from jupyter_client.manager import start_new_kernel

def run(client, code):
    def show(message):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            print(message["content"]["text"], end="")
    client.execute_interactive(code, output_hook=show, timeout=60)

manager, client = start_new_kernel(kernel_name="python3")
try:
    run(client, "import os, threading\ndef writers():\n"
                "    return sum('History' in type(t).__name__ for t in threading.enumerate())")
    run(client, "print('before', writers())")
    run(client, "pid = os.fork()\nif not pid: os._exit(0)\nos.waitpid(pid, 0)\nprint('after the fork', writers())")
    run(client, "print('next cell', writers())")
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
PY
diff "$dir/seen" - <<'EXPECTED'
before 1
after the fork 0
next cell 1
EXPECTED
