from .evaluate import load_trained as load_trained
from .folder import RunFolder as RunFolder
from .folder import State as State
from .folder import open_run as open_run
from .folder import read_json as read_json
from .folder import write_json as write_json
from .lock import lock_folder as lock_folder
from .report import read_evaluation as read_evaluation
