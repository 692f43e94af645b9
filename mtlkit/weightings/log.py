"""The sum of the logarithms of the losses: scale-invariant weighting."""

from torch import Tensor

from mtlkit.weightings.kinds import BatchLossWeighting, Known, RequiresPositiveLosses, positive


class LogWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights 1 / L_t, the gradient of the sum of log L_t (the baseline SI of Navon et al., 2022).

    A loss multiplied by a constant has the same gradient as before.

    >>> import torch
    >>> LogWeights().weights(Known(torch.tensor([0.5, 4.0]), torch.arange(2))).tolist()
    [2.0, 0.25]
    """

    def weights(self, known: Known) -> Tensor:
        return 1 / positive(known.losses)
