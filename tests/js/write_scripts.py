"""Write the picture's scripts as one into a folder: `joined.js` for the check of types, `shipped.js`.

Both are wrapped and called as in an output. `make types-js` and `make test-js` run this.
"""

from __future__ import annotations

import sys
from pathlib import Path

from concmagic.renderers.script_text import joined, shipped


def main(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("joined.js", joined()), ("shipped.js", shipped())):
        wrapped = f'(() => {{\n{text}\nconcmagicUpgrade("id", "packed", "css");\n}})();\n'
        (folder / name).write_text(wrapped, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
