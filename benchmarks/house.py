"""Measure the size and the structure of the source; run with ``python benchmarks/house.py``.

The static measures parse the files below ``--root``. The components and the public names come from
a process with that root on its path. ``--start-up`` adds the times of `start_up`.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from statistics import median

import attrs
from start_up import RUNS, environment, start_up

Measures = dict[str, int | float | str | list[str]]
Graph = dict[str, set[str]]

LONGEST = 5
CROWDED = 20
ITEMS = 20
GENERATED = {"_build", "_generated"}
MENTIONING = (".py", ".pyi", ".md", ".yaml", ".jinja", ".toml")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

PROBE = """
import importlib, json, mtlkit
families = mtlkit.load_catalog("none").families().items()
components = [(family, c.name, c.target) for family, registry in families for c in registry]
homes = [target.partition(":")[0] for *_, target in components]
names = {"mtlkit", *(".".join(home.split(".")[:2]) for home in homes)}
public = {name: len(getattr(importlib.import_module(name), "__all__", ())) for name in names}
print(json.dumps({"file": mtlkit.__file__, "components": components, "public": public}))
"""


@attrs.frozen
class Module:
    """One source file that is not empty."""

    name: str
    file: str
    lines: int
    tree: ast.Module
    with_stub: ast.Module
    """The tree with that of the stub next to the file appended: its imports count."""

    @property
    def folder(self) -> str:
        return self.file.rpartition("/")[0]

    @property
    def is_init(self) -> bool:
        return self.file.endswith("/__init__.py")


def read_modules(root: Path) -> list[Module]:
    """Return the modules of mtlkit and of every plugin's package, in order of their files."""
    packages = [root / "mtlkit", *(p.parent for p in root.glob("plugins/*/mtlkit_*/__init__.py"))]
    modules = []
    for package in sorted(packages):
        for path in sorted(package.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if text.strip():
                parts = path.relative_to(package.parent).with_suffix("").parts
                name = ".".join(parts).removesuffix(".__init__")
                file, lines = path.relative_to(root).as_posix(), len(text.splitlines())
                tree, stub = ast.parse(text), path.with_suffix(".pyi")
                with_stub = tree
                if stub.exists():
                    with_stub = ast.parse(f"{text}\n{stub.read_text(encoding='utf-8')}")
                modules.append(Module(name, file, lines, tree, with_stub))
    return modules


def sizes(modules: Sequence[Module]) -> Measures:
    """Count files and lines per package, and find the longest files, functions and folders."""
    lengths = defaultdict(list)
    for module in modules:
        package = module.name.split(".")[0]
        lengths[package].append(module.lines)
        if package == "mtlkit" and module.folder != "mtlkit":
            lengths[".".join(module.name.split(".")[:2])].append(module.lines)
    measures: Measures = {}
    for package, lines in sorted(lengths.items()):
        measures |= {f"files, {package}": len(lines), f"lines, {package}": sum(lines)}
        if "." not in package:
            measures[f"median file length, {package}"] = median(lines)
            measures[f"maximum file length, {package}"] = max(lines)
    functions = sorted(
        ((node.end_lineno or 0) - node.lineno + 1, node.name, module.file)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, FUNCTION)
    )[: -LONGEST - 1 : -1]
    measures["longest function, lines"] = functions[0][0]
    measures["longest functions"] = [f"{name} ({f}): {lines}" for lines, name, f in functions]
    folders = Counter(module.folder for module in modules if not module.is_init)
    measures["modules per folder, maximum"] = max(folders.values())
    measures[f"folders of more than {CROWDED} modules"] = [
        f"{folder}: {count}" for folder, count in folders.most_common() if count > CROWDED
    ]
    return measures


def _nodes(tree: ast.AST, into_functions: bool) -> Iterator[ast.AST]:
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        if into_functions or not isinstance(node, FUNCTION):
            pending.extend(ast.iter_child_nodes(node))


def import_graph(modules: Sequence[Module], *, function_level: bool) -> Graph:
    """Return the modules that each module imports; imports for type checkers count."""
    known = {module.name for module in modules}
    graph = {}
    for module in modules:
        package = module.name.split(".")[: None if module.is_init else -1]
        targets = set[str]()
        for node in _nodes(module.with_stub, function_level):
            if isinstance(node, ast.Import):
                targets.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                near = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*near, *([node.module] if node.module else [])])
                inner = {f"{base}.{alias.name}" for alias in node.names}
                targets |= inner & known
                if inner - known:  # at least one name of the module itself
                    targets.add(base)
        graph[module.name] = targets & known - {module.name}
    return graph


def largest_cycle(graph: Graph) -> list[str]:
    """Return the largest strongly connected component, or nothing if no module is in a cycle."""
    reachable = {name: _reachable(graph, name) for name in graph}
    cycles = [[m for m in reachable[name] if name in reachable[m]] for name in sorted(graph)]
    largest = max(cycles, key=len)
    return sorted(largest)


def _reachable(graph: Graph, start: str) -> set[str]:
    reached, pending = set[str](), [start]
    while pending:
        new = graph[pending.pop()] - reached
        reached |= new
        pending.extend(new)
    return reached


def two_way_packages(graph: Graph) -> list[str]:
    """Return the pairs of siblings, at least one a package, that import each other."""
    pairs = set()
    for name, targets in graph.items():
        for target in targets:
            one, other = name.split("."), target.split(".")
            shared = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
            depth = len(list(shared)) + 1
            if depth > 1 and min(len(one), len(other)) >= depth:
                pairs.add((".".join(one[:depth]), ".".join(other[:depth])))
    packages = {name[:i] for name in graph for i, letter in enumerate(name) if letter == "."}
    return sorted(
        f"{one} <-> {other}"
        for one, other in pairs
        if one < other and (other, one) in pairs and {one, other} & packages
    )


def structure(modules: Sequence[Module]) -> Measures:
    """Measure the cycles of imports, the modules that plugins import, and the repeated names."""
    everything = import_graph(modules, function_level=True)
    top_level = import_graph(modules, function_level=False)
    core = {name for name in everything if name.split(".")[0] == "mtlkit"}
    used = [targets & core for name, targets in everything.items() if name not in core]
    homes = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module.name)
    return {
        "largest import cycle, modules, all imports": largest_cycle(everything),
        "largest import cycle, modules, top level and TYPE_CHECKING": largest_cycle(top_level),
        "packages that import each other, all imports": two_way_packages(everything),
        "packages that import each other, top level and TYPE_CHECKING": two_way_packages(top_level),
        "modules of mtlkit that plugins import": sorted(set().union(*used)),
        "public class names defined more than once": [
            f"{name}: {', '.join(at)}" for name, at in sorted(homes.items()) if len(at) > 1
        ],
        "private functions referenced once": [
            f"{module.file}: {name}" for module in modules for name in one_use_functions(module)
        ],
    }


def one_use_functions(module: Module) -> list[str]:
    """Return the private functions of the module's top level with exactly one reference in it."""
    uses = Counter(
        node.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
    functions = [node.name for node in module.tree.body if isinstance(node, FUNCTION)]
    return [name for name in functions if name[0] == "_" and name[:2] != "__" and uses[name] == 1]


def files_touched(root: Path, components: Sequence[tuple[str, str, str]]) -> Measures:
    """Count the files of core, tests and docs that mention each component, per family.

    `components` holds family, name and ``module:Class``. A file mentions one by its class, as a
    word, or by its name, in quotes or after ``type:``; a name that has another meaning counts, too.
    """
    paths = [p for folder in ("mtlkit", "tests", "docs") for p in (root / folder).rglob("*")]
    mentions = {}
    for path in [*paths, root / "README.md", root / "CONTRIBUTING.md"]:
        parts = path.relative_to(root).parts
        if path.suffix in MENTIONING and path.is_file() and not GENERATED & {*parts}:
            text = path.read_text(encoding="utf-8")
            quoted = re.findall(r"[\"'`]([\w/-]+)[\"'`]", text)
            named = {*quoted, *re.findall(r"\btype: *([\w/-]+)", text)}
            mentions["/".join(parts)] = set(re.findall(r"\w+", text)), named
    families = defaultdict[str, dict[str, list[str]]](dict)
    for family, name, target in components:
        cls = target.rpartition(":")[2]
        families[family][name] = [
            file
            for file, (words, names) in sorted(mentions.items())
            if cls in words or name in names
        ]
    measures: Measures = {}
    for family, files in sorted(families.items()):
        counts = [len(mentioning) for mentioning in files.values()]
        worst = max(files, key=lambda name: len(files[name]))
        measures |= {
            f"files per component, {family}, minimum": min(counts),
            f"files per component, {family}, median": median(counts),
            f"files per component, {family}, maximum": files[worst],
            f"files per component, {family}, component of the maximum": worst,
        }
    return measures


def imported(root: Path) -> Measures:
    """Import mtlkit from `root` in a process: count its public names, and its components' files."""
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{root}: mtlkit cannot be imported; its measures are left out", file=sys.stderr)
        print(done.stderr, file=sys.stderr)
        return {}
    probe = json.loads(done.stdout)
    if not Path(probe["file"]).is_relative_to(root):
        sys.exit(f"{root}: got mtlkit from {probe['file']}, expected it from the root")
    public = {f"public names, {name}": count for name, count in sorted(probe["public"].items())}
    return public | files_touched(root, probe["components"])


def markdown(after: Measures, before: Measures | None = None) -> str:
    """Return a table of the measures, a list by its length, and the first items of `after`."""
    columns = [after] if before is None else [before, after]
    heads = ["value"] if before is None else ["before", "after"]
    names = [*after, *(name for name in before or {} if name not in after)]
    lines = [f"| measure | {' | '.join(heads)} |", "|---" + "|---:" * len(columns) + "|"]
    for name in names:
        values = [column.get(name, "-") for column in columns]
        cells = [str(len(value) if isinstance(value, list) else value) for value in values]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, value in after.items():
        if isinstance(value, list) and value:
            rest = f"; {len(value) - ITEMS} more" if len(value) > ITEMS else ""
            lines += ["", f"**{name}**: {'; '.join(value[:ITEMS])}{rest}"]
    return "\n".join(lines)


def main() -> None:
    """Measure a tree, print the table, and write the measures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", type=Path, help="write the measures to this file")
    parser.add_argument("--compare", type=Path, help="measures of an earlier run, as a column")
    parser.add_argument("--start-up", type=int, nargs="?", const=RUNS, default=0, metavar="RUNS")
    options = parser.parse_args()
    root = options.root.resolve()
    modules = read_modules(root)
    measures = sizes(modules) | structure(modules) | imported(root)
    if options.start_up:
        measures |= start_up(root, options.start_up)
    before = json.loads(options.compare.read_text()) if options.compare else None
    print(markdown(measures, before))
    if options.json:
        options.json.write_text(json.dumps(measures, indent=1) + "\n")


if __name__ == "__main__":
    main()
