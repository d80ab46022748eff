"""What rarely changes: `%config ConcMagic` shows it, `%config ConcMagic.budget = 1_000_000` sets it."""

from __future__ import annotations

from traitlets import Bool, Dict, Int, Unicode
from traitlets.config import Configurable

from concmagic import sentences
from concmagic.cell import Shell


class ConcMagic(Configurable):  # type: ignore[misc]
    """How concmagic records cells, in this kernel."""

    budget = Int(300_000, min=0, help=sentences.SETTING_BUDGET).tag(config=True)
    sampler = Bool(True, help=sentences.SETTING_SAMPLER).tag(config=True)
    lints = Dict(value_trait=Bool(), key_trait=Unicode(), help=sentences.SETTING_LINTS).tag(config=True)
    cancel_left_running = Bool(False, help=sentences.SETTING_CANCEL).tag(config=True)

    @property
    def lints_off(self) -> tuple[str, ...]:
        """The kebab names of the findings that are switched off."""
        return tuple(name for name, wanted in self.lints.items() if not wanted)


def install(shell: Shell) -> ConcMagic:
    """Make the settings known to `%config` of this shell."""
    settings = ConcMagic(parent=shell)
    shell.configurables.append(settings)
    return settings


def remove(shell: Shell, settings: ConcMagic) -> None:
    """Undo `install`."""
    if settings in shell.configurables:
        shell.configurables.remove(settings)
