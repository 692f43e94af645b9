from .accuracy import Accuracy as Accuracy
from .base import Metric as Metric
from .base import MetricState as MetricState
from .base import is_present as is_present
from .mae import MAE as MAE
from .mean import MeanState as MeanState
from .r2 import R2 as R2
from .rmse import RMSE as RMSE
