"""Other people's fused linear cross-entropies, where they are installed; all of them need a GPU."""

import importlib.util


def ways(x, weight, target):
    """Functions that do a forward and backward pass of the mean loss, by name."""
    found = {}
    if importlib.util.find_spec("liger_kernel") is not None:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        liger = LigerFusedLinearCrossEntropyLoss()
        found["Liger-Kernel"] = lambda: _differentiated(liger(weight, x, target))
    if importlib.util.find_spec("cut_cross_entropy") is not None:
        from cut_cross_entropy import linear_cross_entropy

        found["cut-cross-entropy"] = lambda: _differentiated(
            linear_cross_entropy(x, weight, target)
        )
    return found


def _differentiated(loss):
    loss.backward()
    return loss
