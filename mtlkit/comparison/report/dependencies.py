"""Optional dependencies of the statistics and the report of a comparison."""

import importlib

from mtlkit.errors import MissingExtraError

NEEDED = {
    "scipy": "SciPy",
    "statsmodels": "statsmodels",
    "scikit_posthocs": "scikit-posthocs",
    "moocore": "moocore",
    "plotly": "Plotly",
}
"""Modules of the extra ``compare``, and their common names."""


def require_libraries() -> None:
    """Raise `MissingExtraError` with the names of all missing libraries, if any is missing."""
    missing = []
    for module, name in NEEDED.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError:
            missing.append(name)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"the report of a comparison needs {', '.join(missing)}, which {verb} not installed; "
            f"run `pip install 'mtlkit[compare]'`"
        )
