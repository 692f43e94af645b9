# heads/classification: one of several classes
from .classification import Classification as Classification

# heads/margin: classes by angle: ArcFace, CosFace, AdaFace
from .margin import Margin as Margin

# heads/regression: a number, by squared error
from .regression import Regression as Regression

# heads/ordinal: ordered classes (CORAL)
from .ordinal import Ordinal as Ordinal

# heads/multi-label: several labels, by binary losses
from .multi_label import MultiLabel as MultiLabel

# heads/vector-regression: several numbers for each sample
from .vector_regression import VectorRegression as VectorRegression

# heads/segmentation: a class for each pixel
from .segmentation import Segmentation as Segmentation

# heads/dense-regression: numbers for each pixel: depth
from .dense_regression import DenseRegression as DenseRegression

# heads/normals: a unit vector for each pixel
from .normals import Normals as Normals

# heads/latent-tasks: labels from latent tasks (Abdulnabi 2015)
from .latent_tasks import LatentTasks as LatentTasks

# heads/deep-cca: correlation with a second view (Andrew 2013)
from .deep_cca import DeepCCA as DeepCCA

# heads/token-classification: a class for each token
from .token_classification import TokenClassification as TokenClassification

from .base import Head as Head
from .base import HeadModule as HeadModule
from .class_loss import ClassLoss as ClassLoss
from .classification import ClassificationHead as ClassificationHead
from .cross_entropy import LinearCrossEntropy as LinearCrossEntropy
from .elements import PointLoss as PointLoss
from .elements import point_losses as point_losses
from .elements import sample_means as sample_means
from .linear import LinearHead as LinearHead
from .maps import MapHead as MapHead
from .op_choice import implementation_for as implementation_for
