"""Records of children: whole ones are read, whoever writes them and however the file ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from concmagic.recording.children.handover_files import ChildFile, read_child

PID, BEGUN_NS = 12, 34


def test_threads_that_write_at_the_same_time_do_not_mix_their_records(tmp_path: Path) -> None:
    file = ChildFile(tmp_path, PID, BEGUN_NS)
    together = threading.Barrier(4)

    def write(writer: int) -> None:
        together.wait()
        for number in range(200):
            file.append(f"{writer}-{number}", bytes(number * 50))

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()

    read = read_child(tmp_path, PID)
    assert {kind: len(content) for kind, content in read.items()} == {
        f"{writer}-{number}": number * 50 for writer in range(4) for number in range(200)
    }


@pytest.mark.parametrize(
    "tail", [b"\x1f", b"\x05" + bytes(7) + b"\x1f\x8b\x08\x00\x00", bytes(64), b"\xff" * 64]
)
def test_what_stands_before_a_broken_record_is_kept(tmp_path: Path, tail: bytes) -> None:
    file = ChildFile(tmp_path, PID, BEGUN_NS)
    file.append("first", [1, 2])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + tail)

    assert read_child(tmp_path, PID) == {"first": [1, 2]}


def test_a_folder_that_is_gone_costs_the_child_nothing(tmp_path: Path) -> None:
    ChildFile(tmp_path / "gone", PID, BEGUN_NS).append("first", 1)

    assert read_child(tmp_path, PID) == {}
