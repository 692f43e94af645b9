"""Check that all processes of a run have the same components registered."""

from collections.abc import Sequence

import torch

from mtlkit.errors import SHOWN, RunError
from mtlkit.plugins.catalog import Catalog
from mtlkit.training.devices.ranks import Ranks


def require_same_plugins(catalog: Catalog, ranks: Ranks, device: torch.device) -> None:
    """Raise `RunError` on every rank if the ranks' registered components differ.

    This is the first exchange of the processes: a machine with another plugin, or with another
    version of it, would train something else, or wait forever.
    """
    texts = ranks.texts("\n".join(catalog.registered()), device)
    lines = differences([text.splitlines() for text in texts])
    if lines:  # one machine without a plugin causes many
        more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise RunError(
            f"the processes have different components: {'; '.join(lines[:SHOWN])}{more}. Install "
            f"the same plugins in the same versions on every machine (`mtlkit plugins` lists them)"
        )


def differences(registered: Sequence[Sequence[str]]) -> list[str]:
    """Return the components that each rank lacks or has in addition to the first one.

    >>> differences([["head a", "head b"], ["head a", "head c"]])
    ['rank 1 lacks head b', 'rank 1 alone has head c']
    """
    first, known = registered[0], set(registered[0])
    mismatches = []
    for rank, components in enumerate(registered[1:], start=1):
        names = set(components)
        mismatches += [f"rank {rank} lacks {line}" for line in first if line not in names]
        mismatches += [f"rank {rank} alone has {line}" for line in components if line not in known]
    return mismatches
