from .base import Head as Head
from .base import HeadModule as HeadModule
from .classification import Classification as Classification
from .classification import ClassificationHead as ClassificationHead
from .margin import Margin as Margin
from .op_choice import implementation_for as implementation_for
from .regression import Regression as Regression
