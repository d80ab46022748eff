"""A saved file as plain data: bounded, so that a small file cannot fill the memory."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, NoReturn

from concmagic import sentences
from concmagic.errors import LoadError

LIMIT_MB = 256.0  # twice what a cell has that fills the buffer of `--detail calls`
_MB = 1 << 20
_GZIP = b"\x1f\x8b"


def read_document(path: Path, limit_mb: float) -> Any:
    """What stands in the file, unpacked if it is packed.

    Raises LoadError if there is none, if it is no JSON, or if it holds more than the limit.
    """
    try:
        # Nothing else is opened: a pipe or a terminal would be waited for.
        if not path.is_file():
            raise LoadError(sentences.not_a_trace(path, sentences.NO_FILE))
        return json.loads(_content(path, limit_mb), parse_constant=_refuse)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise LoadError(sentences.not_a_trace(path, error)) from error
    except RecursionError:
        raise LoadError(sentences.not_a_trace(path, sentences.TOO_DEEP)) from None
    except MemoryError:
        raise LoadError(sentences.not_a_trace(path, sentences.TOO_MUCH)) from None


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
        raise LoadError(sentences.too_large(path, limit_mb))
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are no JSON
