from .base import EvaluationResult as EvaluationResult
from .base import Evaluator as Evaluator
from .context import EvaluationContext as EvaluationContext
from .context import Predictions as Predictions
from .task_metrics import TaskMetrics as TaskMetrics
