"""``mtlkit plugins doctor``: load every plugin in a separate process and list its problems."""

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import click
from packaging.requirements import InvalidRequirement, Requirement

from mtlkit.cli import COMMANDS
from mtlkit.errors import UnknownComponentError, did_you_mean, error_text
from mtlkit.plugins.disabled import read_disabled
from mtlkit.plugins.discovery import InstalledPlugin, accepted_apis, incompatible, installed_plugins
from mtlkit.printable import echo

HEAVY = ("torch", "numpy", "timm", "torchvision", "matplotlib", "numba", "PIL", "scipy", "pandas")
"""Packages that no plugin may import when it registers, because every command would wait."""

SLOW = 0.1
"""Longest import time of a plugin in seconds, above which it is slow."""

PROBE = """
import importlib, json, sys, time
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.isolation import isolated
module, namespace, heavy = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
answer = {"problems": []}
start = time.perf_counter()
try:
    with isolated() as effects:
        importlib.import_module(module)
except BaseException:
    pass  # the catalog reports it
answer["seconds"] = time.perf_counter() - start
answer["effects"] = effects
answer["heavy"] = [name for name in heavy if name in sys.modules]
catalog = load_catalog(namespace)
[record] = [plugin for plugin in catalog.plugins if plugin.namespace == namespace]
if record.reason:
    answer["problems"].append(record.reason)
names = []
for registry in catalog.families().values():
    for entry in registry:
        if entry.name.startswith(namespace + "/"):
            names.append(entry.name)
            try:
                registry.get(entry.name)
            except Exception as error:
                answer["problems"].append(str(error))
answer["components"] = names
answer["commands"] = list(catalog.commands)
torch = sys.modules.get("torch")
answer["cuda"] = bool(torch and torch.cuda.is_initialized())
print("\\n" + sys.argv[4] + json.dumps(answer))
"""

ANSWER = "mtlkit doctor: "
"""Start of the line with the answer of `PROBE`, among what a plugin prints."""


@attrs.define
class PluginDiagnosis:
    """Result of examining one plugin."""

    plugin: InstalledPlugin
    seconds: float | None = None
    components: int = 0
    commands: tuple[str, ...] = ()
    problems: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds given to each plugin."
)
def doctor(names: tuple[str, ...], timeout: float) -> int:
    """Load every plugin, or the plugins NAMES, each in a separate process, and examine it.

    Reported are import time, heavy imports, errors in hooks and components, the version window,
    conflicts of names, and packages that are missing. The exit code is 1 where there is a problem.
    """
    installed = installed_plugins()
    findings = [examined(plugin, installed, timeout) for plugin in _chosen(names, installed)]
    _compare_commands(findings)
    for finding in findings:
        echo(*_lines(finding))
    stale = sorted(read_disabled() - {plugin.namespace for plugin in installed})
    if stale and not names:
        echo(f"disabled but not installed: {', '.join(stale)}")
    sick = sum(bool(finding.problems) for finding in findings)
    plural = "" if len(findings) == 1 else "s"
    echo(f"{len(findings)} plugin{plural} examined, {sick} with problems")
    return 1 if sick else 0


def _chosen(
    names: Sequence[str], installed: Sequence[InstalledPlugin]
) -> Sequence[InstalledPlugin]:
    known = {plugin.namespace for plugin in installed} | {p.distribution for p in installed}
    for name in names:
        if name not in known:
            raise UnknownComponentError(
                f"no plugin named {name!r} is installed{did_you_mean(name, known)}",
                family="plugin",
                name=name,
            )
    return [p for p in installed if not names or {p.namespace, p.distribution} & set(names)]


def examined(
    plugin: InstalledPlugin, installed: Sequence[InstalledPlugin], timeout: float
) -> PluginDiagnosis:
    """Examine one plugin; it is imported only in a separate process."""
    finding = PluginDiagnosis(plugin)
    finding.problems += [
        f"{rival.origin} claims the namespace {plugin.namespace!r} too; uninstall one"
        for rival in installed
        if rival.namespace == plugin.namespace and rival != plugin
    ]
    if (obstacle := incompatible(plugin)) is not None:
        finding.problems.append(obstacle)
    if plugin.damage:
        finding.problems.append(plugin.damage)
        return finding
    _examine_requirements(finding)
    if not finding.problems:
        _load_apart(finding, timeout)
    return finding


def _load_apart(finding: PluginDiagnosis, timeout: float) -> None:
    plugin = finding.plugin
    arguments = (plugin.module, plugin.namespace, json.dumps(HEAVY), ANSWER)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True,
            errors="replace", timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        answers = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
        answer: dict[str, Any] = json.loads(answers[-1].removeprefix(ANSWER))
    except subprocess.TimeoutExpired:
        finding.problems.append(f"does not load within {timeout:g} seconds")
        return
    except (IndexError, json.JSONDecodeError):  # the plugin ended the process
        stderr_lines = done.stderr.strip().splitlines()
        last = f": {stderr_lines[-1]}" if stderr_lines else ""
        finding.problems.append(f"ends the process with the exit code {done.returncode}{last}")
        return
    finding.seconds = answer["seconds"]
    finding.components = len(answer["components"])
    finding.commands = tuple(answer["commands"])
    finding.problems += answer["problems"]
    finding.problems += [f"it {effect}" for effect in answer["effects"]]
    if answer["heavy"]:
        finding.problems.append(
            f"imports {', '.join(answer['heavy'])} when it registers, for which every command "
            f"waits; name components as 'module:Class' and import inside build"
        )
    elif finding.seconds is not None and finding.seconds > SLOW:
        finding.notes.append(f"is slow to import; expected at most {1000 * SLOW:.0f} ms")
    if answer["cuda"]:
        finding.problems.append("initializes CUDA on import, which breaks worker processes")
    hidden = sorted(set(finding.commands) & set(COMMANDS))
    finding.problems += [f"its command {name!r} is hidden by mtlkit's own" for name in hidden]


def _examine_requirements(finding: PluginDiagnosis) -> None:
    """Add the missing requirements of the distribution: problems, and notes for its extras."""
    missing_extras: dict[str, list[str]] = {}
    installed = importlib.metadata.distribution(finding.plugin.distribution)
    extras = installed.metadata.get_all("Provides-Extra") or []
    for text in installed.requires or []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as cause:
            problem = f"its metadata has an invalid requirement: {error_text(cause)}"
            finding.problems.append(problem)
            continue
        unmet = _unmet(requirement)
        if unmet is None:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            finding.problems.append(f"needs {unmet}; run `pip install '{_plain(requirement)}'`")
            continue
        for extra in extras:
            if requirement.marker.evaluate({"extra": extra}):
                missing_extras.setdefault(extra, []).append(unmet)
    finding.notes += [
        f"the extra {extra!r} is not installed ({', '.join(missing)}); "
        f"`pip install '{finding.plugin.distribution}[{extra}]'` adds it"
        for extra, missing in missing_extras.items()
    ]


def _unmet(requirement: Requirement) -> str | None:
    """Return a text for an unmet requirement, or None if it is met."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{_plain(requirement)}, which is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"{_plain(requirement)}, but {version} is installed"


def _plain(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _compare_commands(findings: Sequence[PluginDiagnosis]) -> None:
    """Add a problem to each plugin whose command an earlier plugin already has."""
    owners: dict[str, InstalledPlugin] = {}
    for finding in findings:
        for name in finding.commands:
            if name in owners:
                finding.problems.append(f"the command {name!r} belongs to {owners[name].origin}")
            owners.setdefault(name, finding.plugin)


def _lines(finding: PluginDiagnosis) -> Iterator[str]:
    plugin = finding.plugin
    window = f"plugin API {plugin.api} of {accepted_apis()}"
    yield f"{plugin.namespace}: {'has problems' if finding.problems else 'is well'}"
    yield f"  from     {plugin.origin}; {window}"
    if finding.seconds is not None:
        yield (
            f"  import   {1000 * finding.seconds:.0f} ms; components: {finding.components}, "
            f"commands: {len(finding.commands)}"
        )
    for problem in finding.problems:
        yield f"  problem  {' '.join(problem.split())}"
    for note in finding.notes:
        yield f"  note     {note}"
