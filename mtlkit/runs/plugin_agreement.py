"""That all processes of a run have the same components registered."""

from collections.abc import Sequence

import torch

from mtlkit.errors import RunError
from mtlkit.plugins.catalog import Catalog
from mtlkit.training.ranks import Ranks

SHOWN = 10
"""How many differences are shown; one machine without a plugin makes many."""


def require_same_plugins(catalog: Catalog, ranks: Ranks, device: torch.device) -> None:
    """`RunError`, on every rank, with what differs between the ranks' registered components.

    It is the first thing that the processes tell each other: a machine with another plugin, or
    with another version of it, would train something else, or wait forever.
    """
    texts = ranks.texts("\n".join(catalog.registered()), device)
    found = differences([text.splitlines() for text in texts])
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise RunError(
            f"the processes have different components: {'; '.join(found[:SHOWN])}{more}. Install "
            f"the same plugins in the same versions on every machine (`mtlkit plugins` lists them)"
        )


def differences(registered: Sequence[Sequence[str]]) -> list[str]:
    """What each rank lacks, and has beyond, the first one.

    >>> differences([["head a", "head b"], ["head a", "head c"]])
    ['rank 1 lacks head b', 'rank 1 alone has head c']
    """
    first = registered[0]
    found = []
    for rank, own in enumerate(registered[1:], start=1):
        found += [f"rank {rank} lacks {line}" for line in first if line not in own]
        found += [f"rank {rank} alone has {line}" for line in own if line not in first]
    return found
