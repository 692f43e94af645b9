"""The hooks that a plugin may implement.

A plugin is a distribution with an entry point in the group ``mtlkit``. The entry point's name is
the plugin's namespace; its module holds functions marked with `hookimpl`:

>>> from mtlkit.plugins import hookimpl
>>> @hookimpl
... def mtlkit_register(catalog):
...     catalog.weightings.add("acme/halves", "mtlkit_acme.halves:Halves", "Halve every weight.")

`mtlkit_register` and `mtlkit_commands` are called once, when the plugin is loaded. The others are
called during a run or after a comparison, and observe it: see `mtlkit.plugins.observers`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mtlkit.loggers.events import StepEvent
    from mtlkit.plugins.families import Registrar
    from mtlkit.plugins.run_events import (
        CheckpointSaved,
        EpochEnded,
        Evaluated,
        ProblemCompared,
        RunEnded,
        RunInfo,
        RunStarted,
    )
    from mtlkit.report.blocks import Section

GROUP = "mtlkit"
"""The entry-point group of plugins."""

API_GROUP = "mtlkit.api"
"""The entry-point group whose entry names the plugin API a distribution was made for."""

API = (2, 0)
"""The plugin API of this mtlkit, as (major, minor): the minor grows with every new name."""

API_FLOOR = (2, 0)
"""The oldest plugin API that this mtlkit accepts."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """The specification of every hook; an implementation may take fewer of the arguments."""

    @hookspec
    def mtlkit_register(self, catalog: "Registrar") -> None:
        """Add components: ``catalog.heads.add(name, "module:Class", summary)``."""

    @hookspec
    def mtlkit_commands(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Return commands: name to ``"module:click_command"``, imported when used."""

    @hookspec
    def mtlkit_run_started(self, run: "RunInfo", event: "RunStarted") -> None:
        """Observe the start of a run, or of its continuation, before its data is loaded."""

    @hookspec
    def mtlkit_step_logged(self, run: "RunInfo", event: "StepEvent") -> None:
        """Observe a logged step: the losses and weights that loggers receive."""

    @hookspec
    def mtlkit_epoch_ended(self, run: "RunInfo", event: "EpochEnded") -> None:
        """Observe the end of an epoch, before validation."""

    @hookspec
    def mtlkit_evaluated(self, run: "RunInfo", event: "Evaluated") -> None:
        """Observe metrics: of the validation split during training, and of the evaluators."""

    @hookspec
    def mtlkit_checkpoint_saved(self, run: "RunInfo", event: "CheckpointSaved") -> None:
        """Observe a checkpoint that is complete on disk."""

    @hookspec
    def mtlkit_run_ended(self, run: "RunInfo", event: "RunEnded") -> None:
        """Observe the end of a run: finished, interrupted or failed."""

    @hookspec
    def mtlkit_report_sections(  # type: ignore[empty-body]
        self, run: "RunInfo", event: "Evaluated"
    ) -> "Sequence[Section]":
        """Return sections to add to the run's report; called after the evaluators."""

    @hookspec
    def mtlkit_comparison_sections(  # type: ignore[empty-body]
        self, event: "ProblemCompared"
    ) -> "Sequence[Section]":
        """Return sections about a problem of a comparison, for its page and the terminal."""
