"""Run a notebook in a real kernel, print its pictures as text, write them as one HTML page.

python examples/demo.py examples/tour.ipynb build/tour.html
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter


def main(notebook_path: Path, page_path: Path) -> None:
    """Execute, print, write."""
    notebook = nbformat.read(notebook_path, as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.on_cell_executed = print_cell
    client.execute(cwd=str(notebook_path.parent))
    page_path.parent.mkdir(parents=True, exist_ok=True)
    page_path.write_text(as_page(notebook), encoding="utf-8")
    nbformat.write(notebook, page_path.with_suffix(".ipynb"))
    print(f"\nThe same pictures, interactive: {page_path}")
    print(f"The executed notebook:           {page_path.with_suffix('.ipynb')}")


def print_cell(cell: Any, cell_index: int, execute_reply: Any) -> None:
    """Print a cell that drew a timeline: its code, what it printed, its picture."""
    pictures = [text for text in map(picture_of, cell.outputs) if text]
    if not pictures:
        return
    print("\n" + "─" * 80)
    print(cell.source.rstrip() + "\n")
    for output in cell.outputs:
        if output.output_type == "stream":
            print(output.text, end="")
        elif output.output_type == "error":
            print(f"{output.ename}: {output.evalue}")
    print("\n".join(pictures), flush=True)


def picture_of(output: Any) -> str:
    """The text of an output that also has an HTML picture, else nothing."""
    data = output.get("data", {})
    if output.output_type != "display_data" or "text/html" not in data:
        return ""
    return str(data.get("text/plain", ""))


def as_page(notebook: Any) -> str:
    """The executed notebook as one page that fetches nothing."""
    exporter = HTMLExporter(template_name="lab", mathjax_url="", require_js_url="", jquery_url="")
    page, _ = exporter.from_notebook_node(notebook)
    return str(page)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
