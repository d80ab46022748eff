#!/usr/bin/env bash
# ipykernel 7.4: a context variable that a cell sets is there in the next cell, unless the cell that set it
# awaits at its top level: then it is gone. Adding `await` to a cell changes what later cells see.
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
    run(client, "import asyncio, contextvars\nplain = contextvars.ContextVar('plain', default='unset')\n"
                "awaiting = contextvars.ContextVar('awaiting', default='unset')")
    run(client, "token = plain.set('set')")
    run(client, "token = awaiting.set('set')\nawait asyncio.sleep(0)\nprint('in the cell', awaiting.get())")
    run(client, "print('plain', plain.get())\nprint('awaiting', awaiting.get())")
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
PY
diff "$dir/seen" - <<'EXPECTED'
in the cell set
plain set
awaiting unset
EXPECTED
