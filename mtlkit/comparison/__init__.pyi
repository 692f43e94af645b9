from .execute.executor_config import ExecutorConfig as ExecutorConfig
from .execute.run_many import make_runs as make_runs
from .execute.worker import Job as Job
from .execute.worker import Outcome as Outcome
