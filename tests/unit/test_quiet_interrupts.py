"""An interrupt that comes in what notes a call, and not in the call."""

from __future__ import annotations

import traceback
import weakref
from typing import Any

import pytest

from concmagic.recording.guards import watched


class Data:
    """What the caller passes on."""


def interrupted(*_: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["before", "after"])
def test_it_tells_no_frame_of_ours_and_keeps_nothing_of_the_callers(where: str) -> None:
    call = watched(
        lambda data: None,
        interrupted if where == "after" else lambda *_: None,
        interrupted if where == "before" else None,
    )
    data = Data()
    seen = weakref.ref(data)
    with pytest.raises(KeyboardInterrupt) as kept:
        call(data)
    del data
    assert [frame.filename for frame in traceback.extract_tb(kept.value.__traceback__)] == [__file__]
    assert seen() is None
