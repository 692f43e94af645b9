# metrics/accuracy: the fraction of classes predicted
from .accuracy import Accuracy as Accuracy

# metrics/top-k: the fraction of classes among the k most likely
from .top_k import TopK as TopK

# metrics/balanced-accuracy: mean recall
from .balanced_accuracy import BalancedAccuracy as BalancedAccuracy

# metrics/f1: the harmonic mean of precision and recall
from .f1 import F1 as F1

# metrics/auroc: the area under the ROC curve
from .auroc import AUROC as AUROC

# metrics/average-precision: mean precision
from .average_precision import AveragePrecision as AveragePrecision

# metrics/nll: the negative log-likelihood
from .nll import NLL as NLL

# metrics/ece: the expected calibration error
from .ece import ECE as ECE

# metrics/mean-iou: the mean intersection over union
from .mean_iou import MeanIoU as MeanIoU

# metrics/mae: the mean absolute error
from .mae import MAE as MAE

# metrics/rmse: the root mean squared error
from .rmse import RMSE as RMSE

# metrics/r2: the fraction of variance explained
from .r2 import R2 as R2

# metrics/ccc: the concordance correlation coefficient
from .ccc import CCC as CCC

# metrics/relative-error: mean relative error
from .relative_error import RelativeError as RelativeError

# metrics/delta: the fraction within a factor of 1.25
from .delta import Delta as Delta

# metrics/angle-mean: the mean angle of unit vectors
from .angles import AngleMean as AngleMean

# metrics/angle-median: the median angle of unit vectors
from .angles import AngleMedian as AngleMedian

# metrics/angle-within: the fraction of small angles
from .angles import AngleWithin as AngleWithin

# metrics/nme: the normalized mean error of keypoints
from .nme import NME as NME

from .base import Metric as Metric
from .base import MetricState as MetricState
from .mean import MeanState as MeanState
