"""What the statistics and the report of a comparison need beside the core."""

import importlib

from mtlkit.errors import MissingExtraError

NEEDED = {
    "scipy": "SciPy",
    "statsmodels": "statsmodels",
    "scikit_posthocs": "scikit-posthocs",
    "moocore": "moocore",
    "plotly": "Plotly",
}
"""Modules of the extra ``compare``, and what people call them."""


def require_libraries() -> None:
    """Raise `MissingExtraError`, which names all that is missing, unless everything is here."""
    missing = [name for module, name in NEEDED.items() if not _is_here(module)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"the report of a comparison needs {', '.join(missing)}, which {verb} not installed; "
            f"run `pip install 'mtlkit[compare]'`"
        )


def _is_here(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return True
