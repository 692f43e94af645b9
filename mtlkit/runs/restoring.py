"""Restoring a checkpoint into the training of a run."""

from mtlkit.errors import RunError, error_text
from mtlkit.runs.folder import RunFolder
from mtlkit.training.checkpoint import Checkpoint
from mtlkit.training.loop import Training


def restore(training: Training, checkpoint: Checkpoint, folder: RunFolder) -> None:
    """Restore the checkpoint; raise `RunError` if it is not one of the run's recipe."""
    try:
        training.restore(checkpoint)
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as cause:
        raise RunError(
            f"{folder.checkpoints}: the checkpoint of step {checkpoint.step} does not fit the "
            f"run's recipe ({error_text(cause)}); undo the change of {folder.recipe.name}, or "
            f"start a new run"
        ) from cause
