"""The callback `lookahead`."""

import attrs
import torch

from mtlkit import testing
from mtlkit_hello.lookahead import Lookahead


def weights(callbacks, updates):
    """The weights of the small network after some updates."""
    updater = testing.small_updater(attrs.evolve(testing.small_recipe(), callbacks=callbacks))
    for step in range(updates):
        updater.update(step)
        updater.callbacks.after_update(step + 1)
    return torch.cat([p.detach().flatten() for p in updater.inner.model.parameters()])


def test_the_weights_return_by_the_fraction():
    start, plain = weights((), 0), weights((), 2)
    slow = weights((Lookahead(every=2, fraction=0.25),), 2)
    torch.testing.assert_close(slow, start + 0.25 * (plain - start))
