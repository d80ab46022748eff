"""The errors that concmagic raises, as one tree.

ConcMagicError
├── OptionError        a wrong option or header: nothing has run
├── BodyError          a loop body that cannot be one: nothing has run
├── NoTimeoutError     --timeout cannot be kept: nothing has run
├── TracerBusyError    another cell is recorded already: nothing has run
├── ChildStartError    a child process could not start
├── ChildEndedError    an interrupt ended the child processes that had this job
└── LoadError          a file that is no saved trace
"""

from __future__ import annotations


class ConcMagicError(Exception):
    """The base of every error that concmagic itself raises."""


class OptionError(ConcMagicError):
    """An option or header that cannot be read; the message says what would be right."""


class BodyError(ConcMagicError):
    """A loop body that cannot be run once per item; the message says what would be right."""


class NoTimeoutError(ConcMagicError):
    """Nothing could be started that would end the cell when its time is up."""


class TracerBusyError(ConcMagicError):
    """Another cell is recorded already, of which this one is a part."""


class ChildStartError(ConcMagicError):
    """A child process could not start; the message names the cause."""


class ChildEndedError(ConcMagicError):
    """The cell was interrupted, and the child processes that had this job were ended."""


class LoadError(ConcMagicError):
    """A file that holds no trace that concmagic can read."""
