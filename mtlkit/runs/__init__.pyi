from .evaluate import load_trained as load_trained
from .folder import RunFolder as RunFolder, State as State, open_run as open_run, read_json as read_json, write_json as write_json
from .report import read_evaluation as read_evaluation
