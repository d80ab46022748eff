"""Runs a Python script that a cell starts as a command, recorded: python script.py CONFIG SCRIPT ARGUMENTS…

The script sees what it would see without us: its own arguments, its folder first on the path, `__main__`
its own module, tracebacks without a frame of this file. Where concmagic cannot be imported it simply runs.
"""

import os
import sys
import types

_config, _script = sys.argv[1:3]
del sys.argv[:2]
sys.path[0] = os.path.dirname(os.path.realpath(_script))
try:
    from concmagic.recording.children.child_entry import begin_command
except Exception:  # this Python knows no concmagic, or something else stands where ours imports from
    pass
else:
    begin_command(_config)
_file = os.path.abspath(_script)
_own = sys.modules["__main__"]  # kept: its names would be emptied with it
_loader = globals()["__loader__"]
_main = types.ModuleType("__main__")
_main.__dict__.update({name: value for name, value in globals().items() if name.startswith("__")})
_main.__dict__.update(__file__=_file, __doc__=None, __loader__=type(_loader)("__main__", _file))
sys.modules["__main__"] = _main
try:
    with open(_file, "rb") as _source:
        _code = compile(_source.read(), _file, "exec")
    exec(_code, _main.__dict__)
except BaseException as _error:
    if _error.__traceback__ is not None:
        _error.__traceback__ = _error.__traceback__.tb_next
    raise
