"""Hostile plugins, each installed next to a good one, which must stay usable in every command."""

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from fault_campaign.child import command, in_child
from fault_campaign.verdict import Case, Verdict

HEAD = "from mtlkit.plugins.hooks import hookimpl\n"
REGISTER = f"{HEAD}@hookimpl\ndef mtlkit_register(catalog):\n    "
COMMANDS = f"{HEAD}@hookimpl\ndef mtlkit_commands():\n    return "
EVEN = "catalog.weightings.add('{0}/even', 'mtlkit.weightings.equal:Equal', 'equal weights')"
GOOD = REGISTER + EVEN.format("good")

RAISED = (
    *("SystemExit(0)", "SystemExit(3)", "KeyboardInterrupt", "GeneratorExit", "MemoryError"),
    *("RecursionError", "UnicodeDecodeError('utf-8', b'x', 0, 1, 'odd')", "OSError(5, 'io')"),
    *(
        "StopIteration",
        "Odd",
        "BaseException",
        "asyncio.CancelledError",
        "ExceptionGroup('x', [OSError()])",
    ),
    *(
        "BrokenPipeError",
        "ImportError('\\x1b[2J')",
        "ValueError('\\ud800')",
        "ValueError('x' * 10**6)",
    ),
)
ODD = "import asyncio\nclass Odd(BaseException):\n    def __str__(self): raise SystemExit(0)\n"

NAMES = (
    "1",
    "None",
    "'a b'",
    "'\\x1b[2J'",
    "''",
    "'train'",
    "'../x'",
    "b'x'",
    "('a',)",
    "'x' * 5000",
)

EFFECTS = {
    "prints": "print('hello')",
    "writes to stderr": "import sys; sys.stderr.write('hello\\n')",
    "sets the default dtype": "import torch; torch.set_default_dtype(torch.float64)",
    "patches torch": "import torch; torch.relu = lambda x: x",
    "patches a class of torch": "import torch; torch.nn.Linear.forward = lambda self, x: x",
    "turns gradients off": "import torch; torch.set_grad_enabled(False)",
    "demands deterministic algorithms": "import torch; torch.use_deterministic_algorithms(True)",
    "changes the locale": "import locale; locale.setlocale(locale.LC_ALL, 'C')",
    "closes standard input": "import sys; sys.stdin = None",
    "limits recursion": "import sys; sys.setrecursionlimit(10**6)",
    "turns warnings into errors": "import warnings; warnings.simplefilter('error')",
    "warns": "import warnings; warnings.warn('old')",
}

METADATA = {
    "summary that is not UTF-8": b"Name: mtlkit-bad\nVersion: 1.0\nSummary: caf\xe9\n",
    "empty": b"",
    "no name": b"Metadata-Version: 2.1\nVersion: 1.0\n",
    "no version": b"Metadata-Version: 2.1\nName: mtlkit-bad\n",
    "control characters": b"Name: mtlkit-bad\nVersion: \x1b[2J\n",
    "NUL": b"Name: mtlkit-\0bad\nVersion: 1\0\n",
    "odd requirement": b"Name: mtlkit-bad\nVersion: 1\nRequires-Dist: ???\n",
}

APIS = ("", "2", "x", "9" * 5000 + ".0", "2.0.0", "-1.0", "\u0662.0", "1.0", "99.0", "2.0\x1b[2J")


@attrs.frozen
class Hostile:
    """A hostile plugin: what is odd about it, and its files."""

    name: str
    code: str = REGISTER + EVEN.format("bad")
    metadata: bytes = b"Metadata-Version: 2.1\nName: mtlkit-bad\nVersion: 1.0\n"
    points: bytes = b"[mtlkit]\nbad = mtlkit_bad\n[mtlkit.api]\n2.0 = mtlkit_bad\n"
    component: str = ""


def every_hostile() -> Iterator[Hostile]:
    """Yield each hostile plugin."""
    for raised in RAISED:
        yield Hostile(f"raises {raised[:30]} on import", f"{ODD}raise {raised}")
        yield Hostile(f"raises {raised[:30]} in a hook", f"{ODD}{REGISTER}raise {raised}")
        yield Hostile(
            f"raises {raised[:30]} in a component's module",
            REGISTER + "catalog.weightings.add('bad/w', 'mtlkit_bad_component:W')",
            component=f"{ODD}raise {raised}",
        )
    for name in NAMES:
        yield Hostile(f"command {name[:20]}", f"{COMMANDS}{{{name}: 'a:b'}}")
        yield Hostile(f"component {name[:20]}", f"{REGISTER}catalog.heads.add({name}, 'a:b')")
    for name, code in EFFECTS.items():
        yield Hostile(f"{name} on import", f"{code}\n{Hostile('').code}")
    for name, metadata in METADATA.items():
        yield Hostile(f"metadata: {name}", metadata=metadata)
    for api in APIS:
        points = f"[mtlkit]\nbad = mtlkit_bad\n[mtlkit.api]\n{api} = mtlkit_bad\n".encode()
        yield Hostile(f"plugin API {api[:20]!r}", points=points)
    for points in (
        b"\xff\xfe",
        b"[mtlkit]\nbad = a b c\n",
        b"[mtlkit]\n= x\n",
        b"[mtlkit]\nbad =\n",
    ):
        yield Hostile(f"entry points {points!r}", points=points)
    yield Hostile("has a syntax error", "def (")
    yield Hostile("has a NUL", "x = '\0'")
    yield Hostile(
        "claims the namespace of the good one", points=b"[mtlkit]\ngood2 = os\nbad = sys\n"
    )


def install(site: Path, plugin: Hostile) -> None:
    """Write the files of the hostile plugin and of a good one."""
    site.mkdir()
    good = Hostile("good", GOOD, b"Name: mtlkit-good\nVersion: 1.0\n")
    points = good.points.replace(b"bad", b"good")
    for name, one in (("bad", plugin), ("good", attrs.evolve(good, points=points))):
        (site / f"mtlkit_{name}.py").write_text(one.code, encoding="utf-8")
        if one.component:
            (site / f"mtlkit_{name}_component.py").write_text(one.component, encoding="utf-8")
        info = site / f"mtlkit_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_bytes(one.metadata)
        (info / "entry_points.txt").write_bytes(one.points)


def hostile_plugins(home: Path, done: set[str], most: int, seed: int) -> Iterator[Case]:
    """Yield a case for each of at most `most` hostile plugins."""
    os.environ["MTLKIT_PLUGINS"] = "all"
    command("schema")  # imports every component once for all children
    plugins = list(every_hostile())
    random.Random(seed).shuffle(plugins)
    for number, plugin in enumerate(plugins[:most]):
        if f"hostile plugin {plugin.name}" not in done:
            site = home / f"site-{number}"
            install(site, plugin)
            yield Case("hostile plugin", plugin.name, *_tried(site))


def _tried(site: Path) -> tuple[Verdict, str]:
    def act() -> None:
        sys.path.insert(0, str(site))
        for arguments in (
            ("list", "weightings"), ("plugins", "list", "--json"), ("schema",), ("--help",),
            ("show", "good/even"), ("explain", "recipe.yaml"), ("show", "bad/w"),
        ):  # fmt: skip
            child = command(*arguments)
            problem = _problem(arguments, child.code, child.out, child.err)
            if problem:
                print(f"{' '.join(arguments)}: {problem}")
                exit(3)

    child = in_child(act)
    if child.stuck:
        return Verdict.STUCK, "a command waits"
    if child.code == 0:
        return Verdict.CLEAR, ""
    verdict = Verdict.WRONG if child.code == 3 else Verdict.TRACEBACK
    return verdict, f"{child.out}{child.err}"[-800:]


def _problem(arguments: tuple[str, ...], code: int, out: str, err: str) -> str:
    """Return what is wrong about the output of a command; empty if nothing is."""
    if "Traceback" in err or "\x1b" in out + err:
        return f"raw output: {err[-500:]!r}"
    if arguments[-1] == "bad/w":  # may be missing, but is never a success without a word
        return "" if code in (0, 2) and (out or err) else f"exit code {code}: {err[-300:]}"
    if code != 0:
        return f"exit code {code}: {err[-500:]}"
    if arguments[0] in ("list", "schema") and "good/even" not in out:
        return "the good plugin is missing"
    if "--json" in arguments or arguments[0] == "schema":
        json.loads(out)
    return ""
