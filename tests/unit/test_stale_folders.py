"""Whose a folder is: a process that got the number of another one later has nothing to do with it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from concmagic.recording.children import handover_files, leftovers


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_of_this_process_stays() -> None:
    folder = handover_files.make_folder()
    leftovers.remove_folders()
    assert folder.is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="the begin of a process is read in /proc")
def test_a_number_that_another_process_has_now_keeps_nothing(temporary: Path) -> None:
    earlier = temporary / f"{handover_files.PREFIX}{os.getpid()}-1-x"  # long before this process began
    earlier.mkdir()
    (earlier / f"{os.getpid()}-1{handover_files.SUFFIX}").touch()
    leftovers.remove_folders()
    assert not earlier.exists()


def test_a_child_that_lives_keeps_it(temporary: Path) -> None:
    folder = temporary / f"{handover_files.PREFIX}{_gone()}-1-x"
    folder.mkdir()
    record = folder / f"{os.getpid()}-{time.monotonic_ns()}{handover_files.SUFFIX}"
    record.touch()
    leftovers.remove_folders()
    assert folder.exists()
    record.unlink()
    leftovers.remove_folders()
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO here")
def test_who_holds_the_fifo_open_keeps_it(temporary: Path) -> None:
    folder = temporary / f"{handover_files.PREFIX}{_gone()}-1-x"
    folder.mkdir()
    fifo = folder / f"{_gone()}-1{handover_files.ASK}"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    leftovers.remove_folders()
    assert folder.exists()
    os.close(held)
    leftovers.remove_folders()
    assert not folder.exists()


def test_links_and_folders_of_others_are_left_alone(temporary: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (temporary / f"{handover_files.PREFIX}{_gone()}-1-x").symlink_to(kept)
    (temporary / "something-else").mkdir()
    leftovers.remove_folders()
    assert kept.is_dir() and (temporary / "something-else").is_dir()


def test_a_folder_of_an_earlier_version_goes_with_its_process(temporary: Path) -> None:
    gone, here = (temporary / f"{handover_files.PREFIX}{pid}-abc" for pid in (_gone(), os.getpid()))
    gone.mkdir()
    here.mkdir()
    leftovers.remove_folders()
    assert not gone.exists() and here.is_dir()


def test_no_folder_for_temporary_files_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/nowhere")
    leftovers.remove_folders()


def _gone() -> int:
    """The number of a process that has ended."""
    import subprocess

    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid
