#!/usr/bin/env bash
# A cell whose code raises under %%capture, or whose %run script raises, is answered with status "ok" by the
# kernel (IPython 9.18, ipykernel 7.4): whoever runs notebooks and looks at the replies sees no failure.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check ipython==9.18.1 ipykernel==7.4.0 jupyter_client==8.10.0
cd "$dir"
echo 'raise ValueError("in the script")' >fails.py
"$dir/venv/bin/python" - <<'PY' 2>/dev/null | tee "$dir/seen"
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
try:
    for name, code in {
        "plain": "raise ValueError('in the cell')",
        "%%time": "%%time\nraise ValueError('in the cell')",
        "%%capture": "%%capture\nraise ValueError('in the cell')",
        "%run": "%run fails.py",
    }.items():
        reply = client.execute_interactive(code, output_hook=lambda message: None, timeout=60, stop_on_error=False)
        print(name, reply["content"]["status"])
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
PY
diff "$dir/seen" - <<'EXPECTED'
plain error
%%time error
%%capture ok
%run ok
EXPECTED
