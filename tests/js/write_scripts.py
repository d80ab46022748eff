"""Write what the checks of the picture's scripts need into a folder, for `make types-js` and `make test-js`.

`joined.js` and `shipped.js` are the scripts as one, wrapped and called as in an output; `payloads.json` has
the payload of each sample report twice: packed as in an output, and with the names that Python filled.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from concmagic.renderers.html import joined, packed, shipped
from concmagic.renderers.payload import payload

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sample_reports import SAMPLES


def main(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("joined.js", joined()), ("shipped.js", shipped())):
        wrapped = f'(() => {{\n{text}\nconcmagicUpgrade("id", "packed", "css");\n}})();\n'
        (folder / name).write_text(wrapped, encoding="utf-8")
    payloads = {name: payload(report()) for name, report in SAMPLES.items()}
    told = {name: {"packed": packed(one), "named": named(one)} for name, one in payloads.items()}
    (folder / "payloads.json").write_text(json.dumps(told), encoding="utf-8")


def named(value: Any) -> Any:
    """Objects for all NamedTuples."""
    if hasattr(value, "_asdict"):
        return named(value._asdict())
    if isinstance(value, dict):
        return {name: named(one) for name, one in value.items()}
    return [named(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
