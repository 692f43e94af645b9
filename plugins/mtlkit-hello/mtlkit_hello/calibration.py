"""The evaluator `calibration`."""

import attrs
import torch
from torch import Tensor

from mtlkit.data import ClassTarget
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator, Section, TableBlock
from mtlkit.plugins import MISSING, at_least


@attrs.frozen(kw_only=True)
class Calibration(Evaluator):
    """The expected calibration error of each classification task (Guo et al., ICML 2017).

    Samples of the last split are sorted into `bins` by the probability of the predicted class.
    """

    bins: int = attrs.field(default=10, validator=at_least(1))

    @property
    def prefix(self) -> str:
        return "calibration"

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        split = list(trained.data.splits().values())[-1]
        outputs, targets = trained.predict(split).outputs, trained.targets(split)
        metrics = {
            f"{self.prefix}/{name}": calibration_error(outputs[name], targets[name], self.bins)
            for name, target in trained.model.assembly.targets.items()
            if isinstance(target, ClassTarget)
        }
        table = TableBlock(header=("task", "calibration error"), rows=tuple(metrics.items()))
        return EvaluationResult(
            metrics=metrics,
            headlines=tuple(metrics),
            sections=(Section(title="Calibration", blocks=(table,)),),
        )


def calibration_error(logits: Tensor, target: Tensor, bins: int) -> float:
    """Return the mean gap between confidence and accuracy of the bins; NaN without a label."""
    present = target != MISSING
    confidence, predicted = logits[present].softmax(dim=1).max(dim=1)
    correct = (predicted == target[present]).float()
    which = (confidence * bins).long().clamp(max=bins - 1)
    gaps = torch.zeros(bins).index_add(0, which, confidence - correct)
    return (gaps.abs().sum() / present.sum()).item()
