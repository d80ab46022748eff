#!/usr/bin/env bash
# ipykernel 7.4: what a thread prints goes under the cell that runs when it prints; what a task prints goes under
# the cell that made the task, however many cells ago. Two ways to print "from the background", two places.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check ipython==9.18.1 ipykernel==7.4.0 jupyter_client==8.10.0
"$dir/venv/bin/python" - <<'PY' 2>/dev/null | tee "$dir/seen"
from jupyter_client.manager import start_new_kernel

cells = [
    "import asyncio, threading\nof_thread, of_task = threading.Event(), asyncio.Event()\n"
    "def in_thread():\n    of_thread.wait()\n    print('thread', flush=True)\n"
    "async def in_task():\n    await of_task.wait()\n    print('task', flush=True)\n"
    "thread = threading.Thread(target=in_thread)\nthread.start()\n"
    "task = asyncio.get_running_loop().create_task(in_task())",
    "of_thread.set()\nthread.join()\nof_task.set()\nawait task",
]
manager, client = start_new_kernel(kernel_name="python3")
sent, seen = {}, []
try:
    for number, code in enumerate(cells, 1):
        identity = client.execute(code)
        sent[identity] = number
        client.get_shell_msg(timeout=60)
        while True:
            message = client.get_iopub_msg(timeout=60)
            parent = message["parent_header"].get("msg_id")
            if message["msg_type"] == "stream":
                seen.append(f"{message['content']['text'].strip()}: under cell {sent.get(parent)}")
            if parent == identity and message["content"].get("execution_state") == "idle":
                break
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
print("\n".join(sorted(seen)))
PY
diff "$dir/seen" - <<'EXPECTED'
task: under cell 1
thread: under cell 2
EXPECTED
