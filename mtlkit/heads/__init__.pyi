from .base import Head as Head
from .base import HeadModule as HeadModule
from .classification import Classification as Classification
from .classification import ClassificationHead as ClassificationHead
from .cross_entropy import LinearCrossEntropy as LinearCrossEntropy
from .linear import LinearHead as LinearHead
from .margin import Margin as Margin
from .regression import Regression as Regression
