# callbacks/early-stopping: an end without improvement
from .early_stopping import EarlyStopping as EarlyStopping

# callbacks/best-weights: the weights of the best validation
from .best_weights import BestWeights as BestWeights

# callbacks/ema: a moving average of the weights (Tarvainen 2017)
from .ema import EMA as EMA

# callbacks/swa: the mean of the last weights (Izmailov 2018)
from .swa import SWA as SWA

# callbacks/plateau: a lower learning rate when a metric no longer improves
from .plateau import Plateau as Plateau

# callbacks/freeze: parameters that are not trained at first
from .freeze import Freeze as Freeze

# callbacks/feature-learning: shared features (Argyriou 2008)
from .feature_learning import FeatureLearning as FeatureLearning

# callbacks/sam: gradients at perturbed weights (Foret 2021)
from .sam import SAM as SAM

# callbacks/gradient-noise: norm and noise (McCandlish 2018)
from .gradient_noise import GradientNoise as GradientNoise

# loggers/jsonl: one JSON object a line
from mtlkit.loggers.json_lines import JsonLines as JsonLines

# loggers/csv: a row for each value
from mtlkit.loggers.csv_file import CSV as CSV

# loggers/tensorboard: event files for TensorBoard
from mtlkit.loggers.tensorboard import TensorBoard as TensorBoard

# loggers/wandb: Weights & Biases
from mtlkit.loggers.wandb_run import WandB as WandB

# loggers/mlflow: MLflow
from mtlkit.loggers.mlflow_run import MLflow as MLflow

# loggers/trackio: Trackio
from mtlkit.loggers.trackio_run import Trackio as Trackio

from mtlkit.loggers.base import LogWriter as LogWriter
from mtlkit.loggers.base import Logger as Logger
from mtlkit.loggers.base import WantedPictures as WantedPictures
from mtlkit.loggers.event_files import read_events as read_events
from mtlkit.loggers.events import EvaluationEvent as EvaluationEvent
from mtlkit.loggers.events import Event as Event
from mtlkit.loggers.events import PictureEvent as PictureEvent
from mtlkit.loggers.events import Speed as Speed
from mtlkit.loggers.events import StepEvent as StepEvent
from .base import Callback as Callback
from .base import CallbackState as CallbackState
from .base import TrainingRun as TrainingRun
from .monitored_metric import MonitoredMetric as MonitoredMetric
from .parameter_selection import select_parameters as select_parameters
