"""A report into a file: the suffix says how."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from concmagic.errors import OptionError
from concmagic.model.saved import from_plain
from concmagic.options import SUFFIXES
from concmagic.renderers import write
from sample_reports import SAMPLES


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_suffix_writes_every_report(tmp_path: Path, suffix: str, name: str) -> None:
    path = write(SAMPLES[name](), tmp_path / f"run{suffix}")
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


def test_the_compressed_file_is_the_plain_one(tmp_path: Path) -> None:
    report = SAMPLES["failures"]()
    plain = write(report, tmp_path / "run.json").read_bytes()
    assert gzip.decompress(write(report, tmp_path / "run.json.gz").read_bytes()) == plain


def test_the_trace_can_be_read_back(tmp_path: Path) -> None:
    report = SAMPLES["failures"]()
    whole = json.loads(write(report, tmp_path / "run.JSON").read_text(encoding="utf-8"))
    assert from_plain(whole["concmagic"]).tracks == report.trace.tracks


def test_another_suffix_is_one_sentence_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'run\.png'.*\.html \.svg \.txt"):
        write(SAMPLES["failures"](), tmp_path / "run.png")
    assert not list(tmp_path.iterdir())
