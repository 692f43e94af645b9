# evaluators/tasks: loss and metrics of every task
from .task_metrics import TaskMetrics as TaskMetrics

# evaluators/pictures: labels and predictions of pixels
from .pictures import Pictures as Pictures

from mtlkit.report.blocks import Block as Block
from mtlkit.report.blocks import Chart as Chart
from mtlkit.report.blocks import Estimate as Estimate
from mtlkit.report.blocks import Gallery as Gallery
from mtlkit.report.blocks import Picture as Picture
from mtlkit.report.blocks import Section as Section
from mtlkit.report.blocks import Series as Series
from mtlkit.report.blocks import Style as Style
from mtlkit.report.blocks import TableBlock as TableBlock
from mtlkit.report.blocks import Text as Text
from .base import EvaluationResult as EvaluationResult
from .base import Evaluator as Evaluator
from .context import EvaluationContext as EvaluationContext
from .context import Predictions as Predictions
