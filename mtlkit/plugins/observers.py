"""Plugins as observers of a run: their lifecycle hooks, each call isolated.

A hook that raises is reported once and not called again in that run. It neither stops the run nor
keeps other plugins' hooks from being called. Hooks receive copies, and the state of torch's random
number generators is restored after each call, so that a run computes the same with and without
observers.
"""

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from mtlkit.errors import error_text
from mtlkit.loggers.events import StepEvent
from mtlkit.plugins import run_events
from mtlkit.plugins.hooks import Hooks
from mtlkit.plugins.isolation import torch_settings_kept

if TYPE_CHECKING:
    from mtlkit.report.blocks import Section

HOOK_OF: Mapping[type, str] = {
    run_events.RunStarted: Hooks.mtlkit_run_started.__name__,
    StepEvent: Hooks.mtlkit_step_logged.__name__,
    run_events.EpochEnded: Hooks.mtlkit_epoch_ended.__name__,
    run_events.Evaluated: Hooks.mtlkit_evaluated.__name__,
    run_events.CheckpointSaved: Hooks.mtlkit_checkpoint_saved.__name__,
    run_events.RunEnded: Hooks.mtlkit_run_ended.__name__,
}
"""The hook that each event is passed to."""

SECTIONS = Hooks.mtlkit_report_sections.__name__
COMPARISON_SECTIONS = Hooks.mtlkit_comparison_sections.__name__

_LOG = logging.getLogger(__name__)


class Observers:
    """The implementations of the lifecycle hooks, called for one run; none without a `manager`."""

    def __init__(
        self, manager: pluggy.PluginManager | None = None, run: run_events.RunInfo | None = None
    ) -> None:
        self._run = copy.deepcopy(run)
        self._implementations: dict[str, list[pluggy.HookImpl]] = {}
        if manager is not None:
            for name in (*HOOK_OF.values(), SECTIONS, COMPARISON_SECTIONS):
                # pluggy's order: tryfirst, the last registered first, trylast
                hookimpls = getattr(manager.hook, name).get_hookimpls()[::-1]
                if hookimpls:
                    self._implementations[name] = hookimpls

    def notify(self, event: object) -> None:
        """Call the hooks for `event`, an instance of one of the types in `HOOK_OF`."""
        if self._implementations:
            self._call(HOOK_OF[type(event)], event)

    def report_sections(self, event: run_events.Evaluated) -> "tuple[Section, ...]":
        """Return the sections that plugins add to the report, except those that cannot be drawn."""
        return tuple(section for sections in self._call(SECTIONS, event) for section in sections)

    def comparison_sections(self, event: run_events.ProblemCompared) -> "tuple[Section, ...]":
        """Return the sections that plugins add to a comparison, except those not to be drawn."""
        called = self._call(COMPARISON_SECTIONS, event)
        return tuple(section for sections in called for section in sections)

    def _call(self, name: str, event: object) -> list[Any]:
        """Return what the implementations of the hook `name` return, in order."""
        results = []
        for implementation in list(self._implementations.get(name, ())):
            changes: list[str] = []
            try:
                with torch_settings_kept(changes):
                    result = _isolated(implementation, {"run": self._run, "event": event})
                drawn = name in (SECTIONS, COMPARISON_SECTIONS)
                results.append(_drawable(result) if drawn else result)
            except KeyboardInterrupt:  # Ctrl-C during a hook stops the run
                raise
            except BaseException as cause:  # a failing hook must not stop the run
                self._implementations[name].remove(implementation)
                _LOG.warning(
                    "the plugin %r: %s raised %s; the run continues without this hook",
                    implementation.plugin_name,
                    name,
                    error_text(cause),
                )
                _LOG.debug("the exception of %s", name, exc_info=cause)
            for change in changes:
                plugin = implementation.plugin_name
                _LOG.warning("the plugin %r: %s %s", plugin, name, change)
        return results


def _isolated(implementation: pluggy.HookImpl, arguments: Mapping[str, object]) -> Any:
    """Call an implementation with copies of the arguments it names."""
    import torch  # imported on use, because loading a catalog must stay fast

    copies = [copy.deepcopy(arguments[name]) for name in implementation.argnames]
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = [torch.cuda.current_device()] if cuda else []
    with torch.random.fork_rng(devices=devices):
        return implementation.function(*copies)


def _drawable(sections: Any) -> "tuple[Section, ...]":
    """Return `sections` as a tuple; raise if a report cannot store or draw them."""
    from mtlkit.report.blocks import Section
    from mtlkit.report.evaluation import Evaluation, evaluation_from_json, evaluation_to_json
    from mtlkit.report.run_page import RunRecord, render_page

    for section in sections:
        if not isinstance(section, Section):
            raise TypeError(f"got {type(section).__name__} in the result, expected a Section")
    stored = evaluation_from_json(evaluation_to_json(Evaluation(sections=tuple(sections))))
    if stored.sections:
        render_page(RunRecord(name="report", evaluation=stored))
    return stored.sections
