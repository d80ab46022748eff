"""What the sampler can say."""

from __future__ import annotations

NO_SAMPLER_HERE = (
    "Who is on a core cannot be sampled on this system (it has no /proc): "
    "waits for the GIL and for locks are not told apart."
)


def sampler_lost(error: BaseException) -> str:
    """The helper process did not start, did not answer or has died."""
    kind = type(error).__name__
    return f"The sampler was lost ({kind}: {error}): what only it sees is unknown in this cell."
