"""From a Report to what the notebook shows: last of all, after the cell's value and its figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from concmagic import sentences
from concmagic.code_owner import ours_only
from concmagic.recording.guards import paused_collection

if TYPE_CHECKING:
    from concmagic.doctor import Checkup
    from concmagic.report import Report


def at_the_end(shell: Any, action: Callable[[], None]) -> None:
    """Call `action` once, when the running cell is over and its figures are drawn.

    Registered when the cell's code has run: callbacks that the cell itself has added come before it.
    """

    def once() -> None:
        try:
            shell.events.unregister("post_execute", once)
            action()
        except KeyboardInterrupt:  # IPython would tell it as an error in a callback
            tell(sentences.DRAWING_INTERRUPTED)

    shell.events.register("post_execute", once)


def show(shell: Any, report: Report) -> None:
    """Show the picture. Never raises: what goes wrong is one line under the cell, an interrupt too.

    The cell has ended by then, as it would have without us: no click on stop is its any more.
    """
    try:
        with ours_only():
            bundle = _bundle(report, _takes_html(shell))
    except KeyboardInterrupt:
        tell(sentences.DRAWING_INTERRUPTED)
        return
    except Exception as error:
        tell(sentences.picture_failed(error))
        return
    from IPython.display import publish_display_data

    publish_display_data(bundle)


def show_checkup(shell: Any, checkup: Checkup) -> None:
    """Show what works here: as text, and as a table where that can be drawn."""
    from IPython.display import publish_display_data

    bundle = {"text/plain": checkup.text()}
    if _takes_html(shell):
        bundle["text/html"] = checkup.html()
    publish_display_data(bundle)


def tell(sentence: str) -> None:
    """One line under the cell that is no part of its output."""
    if sys.stderr is None:
        return
    try:
        print(sentence, file=sys.stderr)
    except Exception:  # the cell has closed or replaced it: then there is nowhere to say so
        return


def writers() -> list[tuple[type, str]]:
    """The classes through which this notebook's cells print and display, and the method that does it."""
    streams = (sys.stdout, sys.stderr)
    found = [(type(stream), "write") for stream in streams if type(stream).__module__ == "ipykernel.iostream"]
    from IPython import get_ipython

    publisher = type(getattr(get_ipython(), "display_pub", None))
    return [*found, (publisher, "publish")] if "publish" in vars(publisher) else found


@paused_collection()
def _bundle(report: Report, html: bool) -> dict[str, str]:
    from concmagic.renderers.text import TextRenderer

    bundle = {"text/plain": TextRenderer().render(report)}
    if html:
        from concmagic.renderers.html import HtmlRenderer

        bundle["text/html"] = HtmlRenderer().render(report)
    return bundle


def _takes_html(shell: Any) -> bool:
    formatter = shell.display_formatter
    return formatter is None or "text/html" in formatter.active_types
