"""What the parts that watch starts and ends of children need of their process's Hooks, which import them.

For types only: no child imports this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from concmagic.recording.children.child_config import ChildConfig
from concmagic.recording.children.child_table import Child, Family
from concmagic.recording.children.whose_child import Groups

T = TypeVar("T")


class HooksProtocol(Protocol):
    """What is known of this process's children, and what is done as one is born."""

    config: ChildConfig
    family: Family
    groups: Groups
    before_child: Callable[[], None]

    def guard(self, action: Callable[[], T]) -> T | None:
        """Do something of ours in the midst of what is the user's."""

    def patch_loaded(self) -> None:
        """Watch what is imported only when it is first used."""

    def born(self, child: Child, pid: int) -> None:
        """A child has come to life."""
