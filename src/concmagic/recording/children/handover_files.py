"""What children hand over: whole records in files of a private folder, one file per child.

A record is its length and its pickle, appended in one write, because two threads of a child can
have something to say at the same time. A child that is killed while it writes leaves a record that
cannot be read; the reader stops there and keeps what stands before it.
A pipe would not do: a full one blocks the child.
"""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from concmagic import pipes
from concmagic.clock import monotonic_ns

if TYPE_CHECKING:  # no child that starts makes such a class
    from collections.abc import Sequence
    from typing import TypedDict

    from concmagic.problems import Problem

    Imports = Sequence[tuple[int, int, int, str]]  # the fields of ModuleImports

    class AtEnd(TypedDict):
        """What a child hands over at its end; moments are monotonic nanoseconds."""

        begun_ns: int  # our code began to run in it
        loaded_ns: int | None  # our imports were done
        loaded_cpu_ns: int | None  # what it had computed by then
        called_ns: int | None  # its own imports and unpickling were done
        target_ns: int | None  # its target began
        done_ns: int  # its own program was over
        imports: Imports
        exit_code: int | None  # where it was told to us
        main_native_id: int
        cpu_ns: int
        seen: dict[str, Any]  # by the name of a source of evidence
        changed: tuple[str, ...]  # the notebook's variables that it changed
        children: Sequence[Any]  # its own, as it knows them: Child
        problems: Sequence[Problem]

    class Told(TypedDict, total=False):
        """The records of one child's file; what it handed over in parts is there besides (`parts_of`)."""

        begun_ns: int
        hello: dict[str, Any]  # its config: who it is
        loaded: int
        target: tuple[int, int, Imports]  # called, begun, and its imports until then
        ending: int  # it began to hand over
        end: AtEnd
        became: str  # the command that it runs now
        failed: str  # the traceback of what kept it from starting
        interrupted: bool  # that ended it
        lost: Problem  # nothing of it could be recorded


_LENGTH = struct.Struct("<Q")
PREFIX = "concmagic-children-"
SUFFIX = ".records"
ASK, _TOLD = ".ask", ".told"
# Kinds of records, each followed by a number.
MESSAGES_PART, CALLS_PART, MARKS_PART, NAMES_PART = "messages-", "calls-", "marks-", "names-"
_MOST_PARTS = 1_000  # of one writev (IOV_MAX)


class ChildFile:
    """The file that this child writes its records to."""

    def __init__(self, folder: Path, pid: int, begun_ns: int) -> None:
        self._path = folder / f"{pid}-{begun_ns}{SUFFIX}"
        self.ask_path = self._path.with_suffix(ASK)

    def note_told(self) -> None:
        """Say that all has been handed over that its parent asked for."""
        with suppress(OSError):  # the folder is gone: nobody waits for it any more
            self._path.with_suffix(_TOLD).touch()

    def append(self, kind: str, content: Any) -> None:
        """Add one whole record. A folder that is gone means that nobody waits for it."""
        chunks = _Chunks()
        pickle.Pickler(chunks, protocol=5).dump((kind, content))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            file = os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            return
        try:
            _write_all(file, [_LENGTH.pack(sum(map(len, chunks.parts))), *chunks.parts])
        finally:
            os.close(file)


class _Chunks:
    """A file for pickle that copies nothing: a child's calls are 26 MB, and its parent waits for its exit."""

    def __init__(self) -> None:
        self.parts: list[bytes | memoryview] = []

    def write(self, data: bytes | memoryview) -> int:
        """Keep a part as it is."""
        self.parts.append(data)
        return len(data)


def _write_all(file: int, parts: list[bytes | memoryview]) -> None:
    """In one write, as long as the system takes all of it at once."""
    rest = [memoryview(part).cast("B") for part in parts if len(part)]
    while rest:
        written = os.writev(file, rest[:_MOST_PARTS])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if rest:
            rest[0] = rest[0][written:]


def read_all(folder: Path) -> dict[tuple[int, int], Told]:
    """The records of every child, by pid and begin; of two of a kind the later counts."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        pid, begun_ns = map(int, path.stem.split("-"))
        found[pid, begun_ns] = cast("Told", {"begun_ns": begun_ns, **dict(_records(path))})
    return found


def parts_of(told: Mapping[str, Any], kind: str) -> list[Any]:
    """What was handed over of this kind while the child ran, in order."""
    return [part for name, part in sorted(told.items()) if name.startswith(kind)]


def read_child(folder: Path, pid: int) -> Told:
    """The records of the latest child of this pid; empty if there are none."""
    paths = sorted(folder.glob(f"{pid}-*{SUFFIX}"), key=lambda path: int(path.stem.split("-")[1]))
    return cast("Told", dict(_records(paths[-1]))) if paths else {}


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    data = path.read_bytes()
    at = 0
    while at + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            return
        try:
            record = pickle.loads(memoryview(data)[at : at + length])
        except Exception:  # unpickling what is no pickle can raise anything; the record is lost, and said so
            return
        yield record
        at += length


def ask_all(folder: Path, question: bytes = b"?") -> dict[int, Path]:
    """Ask all children that live to hand over; by pid what will be there when one has done so.

    Or ask another question; what answers it has the same name but for its suffix.
    """
    asked = {}
    for path in folder.glob(f"*{ASK}"):
        try:
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            continue  # nobody listens: it has ended
        try:
            pipes.write(file, question)
            asked[int(path.stem.partition("-")[0])] = path.with_suffix(_TOLD)
        except OSError:
            continue  # it has ended just now
        finally:
            os.close(file)
    return asked


def make_folder() -> Path:
    """A private folder of this process, named so that `stale` can tell whose it is."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{monotonic_ns()}-"))


def remove_folder(folder: Path) -> None:
    """Remove it with all that is in it; what cannot be removed now is stale later."""
    shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number; where it is another's by now, something is kept longer."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
