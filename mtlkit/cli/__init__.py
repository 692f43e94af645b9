"""The command line: one file for each command, imported when it is called.

A command reports an error by raising an `MtlkitError`; `mtlkit.cli.boundary` prints it and exits
with 2.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from mtlkit.cli.boundary import CommandState, exit_code
from mtlkit.cli.environment import limit_spinning, use_large_pages
from mtlkit.errors import InterruptedRunError, LoadFailedError, did_you_mean, error_text
from mtlkit.printable import MtlkitWarning, echo

if TYPE_CHECKING:
    from mtlkit.plugins.catalog import Catalog


class BuiltinCommand(NamedTuple):
    """Import target of one of mtlkit's commands, and its summary in ``mtlkit --help``."""

    target: str  # relative to ``mtlkit.cli.commands``
    summary: str
    loads_plugins: bool = True  # at once, so that a failed plugin is reported


COMMANDS = {
    "train": BuiltinCommand(".train:train", "Train a recipe, evaluate it, write a report."),
    "lr-find": BuiltinCommand(".lr_find:lr_find", "Suggest a learning rate."),
    "tune": BuiltinCommand(".tune:tune", "Search constant loss weights for a recipe."),
    "affinity": BuiltinCommand(".affinity:affinity", "Propose groups of tasks to train together."),
    "compare": BuiltinCommand(".compare:compare", "Compare weightings, runs or studies."),
    "runs": BuiltinCommand(".runs:runs", "List the runs and studies below a folder."),
    "resume": BuiltinCommand(".resume:resume", "Resume a run that was stopped."),
    "evaluate": BuiltinCommand(".evaluate:evaluate", "Evaluate a trained run again."),
    "merge": BuiltinCommand(".merge:merge", "Merge the weights of runs of different tasks."),
    "predict": BuiltinCommand(".predict:predict", "Apply a trained model to new samples."),
    "export": BuiltinCommand(
        ".export:export", "Export a trained model, such as to ONNX, with a card."
    ),
    "report": BuiltinCommand(".report:report", "Write the report of a run again."),
    "explain": BuiltinCommand(".explain:explain", "Check a recipe and show what it means."),
    "list": BuiltinCommand(".list:list_components", "List the components, by family."),
    "show": BuiltinCommand(".show:show", "Show a component, its options and its owner."),
    "ops": BuiltinCommand(".ops:ops", "Show the head ops and which implementation would run."),
    "schema": BuiltinCommand(".schema:schema", "Write the JSON Schema of recipes, for editors."),
    "plugin": BuiltinCommand(".plugin:plugin", "Start your own plugin."),
    "plugins": BuiltinCommand(
        ".plugins:plugins",
        "List, check, enable and disable plugins.",
        loads_plugins=False,
    ),
}


class Session(CommandState):
    """State that the commands of one call share."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = arguments
        self._catalog: Catalog | None = None

    def catalog(self) -> "Catalog":
        """Return the catalog, loaded once; print one line on stderr for each failed plugin."""
        if self._catalog is None:
            from mtlkit.plugins.catalog import load_catalog

            self._catalog = load_catalog()
            for plugin in self._catalog.problems():
                _warn(
                    f"the plugin {plugin.namespace!r} {plugin.status.predicate}: {plugin.reason} "
                    f"(`mtlkit plugins` shows more)"
                )
            for plugin in self._catalog.plugins:
                for effect in plugin.effects:
                    _warn(f"the plugin {plugin.namespace!r} {effect}")
            for name in sorted(set(self._catalog.commands) & set(COMMANDS)):
                owner = self._catalog.commands[name].origin
                _warn(f"the command {name!r} of {owner} is hidden by mtlkit's own")
        return self._catalog


def current_catalog() -> "Catalog":
    """Return the catalog of the running command."""
    session: Session = click.get_current_context().find_root().obj
    return session.catalog()


class _Commands(click.Group):
    """Commands of mtlkit and its plugins, imported when they are called."""

    def invoke(self, ctx: click.Context) -> object:
        with _interruptible(ctx.obj.arguments):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(set(ctx.obj.catalog().commands) - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return _imported(COMMANDS[cmd_name].target)
        plugins = ctx.obj.catalog().commands
        if cmd_name not in plugins:
            hint = did_you_mean(cmd_name, self.list_commands(ctx))
            raise click.UsageError(f"no command named {cmd_name!r}{hint}", ctx)
        from mtlkit.plugins.isolation import UserInterruptError, isolated

        try:
            with isolated() as effects:
                command = _imported(plugins[cmd_name].target)
        except UserInterruptError:
            raise
        except BaseException as cause:  # any failing import is an error of that command alone
            raise LoadFailedError(
                f"the command {cmd_name!r} of {plugins[cmd_name].origin} failed to import from "
                f"{plugins[cmd_name].target!r}: {error_text(cause)}",
                family="command",
                name=cmd_name,
            ) from cause
        for effect in effects:
            _warn(f"the command {cmd_name!r} of {plugins[cmd_name].origin} {effect}")
        ctx.obj.owner = plugins[cmd_name].origin.distribution
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        plugins = ctx.obj.catalog().commands
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])
        others = sorted(set(plugins) - set(COMMANDS))
        if others:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"from {plugins[name].origin}") for name in others])


def _imported(target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    command = getattr(importlib.import_module(module, "mtlkit.cli.commands"), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{target} is not a click command")
    return command


@click.group("mtlkit", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show where in the code an error was raised.")
@click.version_option(package_name="mtlkit")
@click.pass_context
def mtlkit(ctx: click.Context, traceback: bool) -> None:
    """Multi-task learning from named parts: data, backbone, heads, routing and weighting."""
    session: Session = ctx.obj
    session.traceback = traceback
    command = COMMANDS.get(ctx.invoked_subcommand or "")
    if command is None or command.loads_plugins:
        session.catalog()  # warns about failed plugins before any command runs


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of `mtlkit.cli.boundary`."""
    limit_spinning(os.environ)
    use_large_pages(os.environ)
    session = Session(sys.argv[1:] if arguments is None else arguments)

    def run() -> object:
        return mtlkit.main(arguments, prog_name="mtlkit", standalone_mode=False, obj=session)

    with _own_warnings_on_one_line():
        code = exit_code(run, session)
    sys.exit(code)


@contextmanager
def _interruptible(arguments: Sequence[str]) -> Iterator[None]:
    """Raise an `InterruptedRunError` on a signal that arrives before a run handles it.

    torchrun ends its processes by a signal, which would wait for the end of a blocked operation.
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command not in ("train", "resume") or "RANK" in os.environ:
        yield
        return
    from mtlkit.plugins.isolation import UserInterruptError
    from mtlkit.training.signals import interrupt_on_signal

    try:
        with interrupt_on_signal(UserInterruptError):  # not an error of the plugin that loads
            yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped at once; repeat the command, or resume the run"
        ) from None


@contextmanager
def _own_warnings_on_one_line() -> Iterator[None]:
    """Print an `MtlkitWarning` without the line of code that raised it."""
    plain = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **output: Any) -> None:
        if issubclass(category, MtlkitWarning):
            _warn(str(message))
        else:
            plain(message, category, *place, **output)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _warn(message: str) -> None:
    echo(f"mtlkit: warning: {message}", err=True)
