"""Steps that a tracer of calls cannot follow: an exception is thrown into a task.

Up to Python 3.11 a profiler is told of nested coroutines' ends that it was not told had gone on: where one
of them catches what was thrown, those around it continue without a call event. VizTracer then stops for
good, and warns the user. So such a step is run unrecorded: it is in the states, and not among the calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# How the tracer that records now runs a function of one argument unrecorded; empty where none has to.
unrecorded: list[Callable[[Callable[[Any], Any], Any], Any]] = []
