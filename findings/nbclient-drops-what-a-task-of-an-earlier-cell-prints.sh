#!/usr/bin/env bash
# nbclient 0.11: what a task prints after its cell is over is in no output of the executed notebook, though a
# thread's print of the same moment is there, under the cell that ran then.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check ipython==9.18.1 ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.11.1
"$dir/venv/bin/python" - <<'PY' 2>/dev/null | tee "$dir/seen"
import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

cells = [
    "import asyncio, threading\nof_thread, of_task = threading.Event(), asyncio.Event()\n"
    "def in_thread():\n    of_thread.wait()\n    print('thread', flush=True)\n"
    "async def in_task():\n    await of_task.wait()\n    print('task', flush=True)\n"
    "thread = threading.Thread(target=in_thread)\nthread.start()\n"
    "task = asyncio.get_running_loop().create_task(in_task())",
    "of_thread.set()\nthread.join()\nof_task.set()\nawait task",
    "print('end')",
]
notebook = new_notebook(cells=[new_code_cell(code) for code in cells])
NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
for number, cell in enumerate(notebook.cells, 1):
    print(f"cell {number}:", *[output["text"].strip() for output in cell.outputs])
PY
diff "$dir/seen" - <<'EXPECTED'
cell 1:
cell 2: thread
cell 3: end
EXPECTED
