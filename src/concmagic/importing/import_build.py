"""What ran: versions, the machine, and how the operating system was asked."""

from __future__ import annotations

import platform
import sys

from concmagic._version import __version__
from concmagic.interpreter.support import runs_without_gil
from concmagic.model.trace import Build
from concmagic.records.recording import Recording


def build(recording: Recording) -> Build:
    """What ran, and on what."""
    return Build(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        free_threaded=runs_without_gil(),
        platform=_platform(),
        concmagic=__version__,
        viztracer=_version_of("viztracer"),
        cores=recording.cores,
        start_method=recording.start_method,
        sampling_ns=sampling_ns(recording),
        sampling_asked_ns=_period_ns(recording.samples.asked_hz) if recording.samples is not None else 0,
        gil_asked=recording.samples is not None and recording.samples.knows_gil,
    )


def sampling_ns(recording: Recording) -> int:
    """The time between two samples of a thread that is not asleep."""
    return _period_ns(recording.samples.rate_hz) if recording.samples is not None else 0


def _period_ns(rate_hz: float) -> int:
    return round(1e9 / rate_hz) if rate_hz > 0 else 0


def _version_of(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _platform() -> str:
    """The operating system in words. The library asks a command of it, which may not be startable."""
    try:
        return platform.platform(terse=True)
    except Exception:
        return sys.platform
