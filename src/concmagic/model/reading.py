"""A saved file as plain data: bounded, so that a small file cannot fill the memory."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, NoReturn

from concmagic.model.unreadable import UnreadableError, Wrong, fail

LIMIT_MB = 256.0  # twice what a cell has that fills the buffer of `--detail calls`
_MB = 1 << 20
_GZIP = b"\x1f\x8b"


def read_document(path: Path, limit_mb: float) -> Any:
    """What stands in the file, unpacked if it is packed.

    Raises UnreadableError if there is none, if it is no JSON, or if it holds more than the limit.
    """
    try:
        # Nothing else is opened: a pipe or a terminal would be waited for.
        if not path.is_file():
            fail("", "no file")
        return json.loads(_content(path, limit_mb), parse_constant=_refuse)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableError(Wrong("failed", (str(error),))) from error
    except RecursionError:
        raise UnreadableError(Wrong("too deep")) from None
    except MemoryError:
        raise UnreadableError(Wrong("too much")) from None


def _content(path: Path, limit_mb: float) -> bytes:
    most = int(limit_mb * _MB)
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if packed:
            with gzip.open(file) as unpacked:
                content = unpacked.read(most + 1)
        else:
            content = file.read(most + 1)
    if len(content) > most:
        fail("", "too large", float(limit_mb))
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are no JSON
