"""The language of source and docs: plain English, American spelling, variables named for values."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = ("CHANGELOG.md", "benchmarks/results/", "tests/", "docs/_", "LICENSE")
"""History, recorded output and tests, whose names and texts are cases rather than documentation."""

OPENERS = r"(What|Which|Where|By|That|How|Whether)\b"
"""Words with which no docstring starts: it starts with a verb or with the field's noun."""

PHRASES = {
    r"\b(go|goes|going|went|gone) on\b": "continue, resume",
    r"\bto be had\b": "available",
    r"\bcannot be had\b": "unavailable",
    r"\bbesides?\b(?= (the|a|an|each|it|its|them|this|that|other|others|those|one)\b)": "next to",
    r"\bof (its|their|one's|his|your) own\b": "its own, separate",
    r"(?<!there )\b(is|are|was|were) no (?!longer|more|less|fewer|need|way|reason)\w+": "is not a",
    r"\b(tells?|told) (apart|it|of|what|how|why|whether)\b": "distinguish, report, describe",
    r"\bsays? (so|what|how|why|which|whether|of)\b": "states, returns, reports",
    r"\bknows? (nothing|of|what|how)\b": "has, reads, stores",
    r"\b(file|recipe|page|table)s? says?\b": "by the file, the file has",
    r"(?<!-)\bstrangers\b": "unseen, unknown",
    r"\btrunks?\b": "backbone",
}
"""Phrases of the first version, and what reads better."""

BRITISH = (
    r"\b\w*(optimis|normalis|initialis|serialis|standardis|generalis|regularis|quantis|vectoris"
    r"|maximis|minimis|summaris|organis|recognis|customis|parametris|penalis|utilis|synchronis"
    r"|discretis|randomis|specialis|scalaris)(e|ed|es|er|ers|ing|ation|ations)\b"
    r"|\b\w*(colour|behaviour|favour|neighbour|honour|labour|centre|grey|metre\b)\w*"
    r"|\b(modelled|modelling|labelled|labelling|cancelled|travell\w+|fulfil)\b"
)

NAMES = {"found", "said", "told", "asked", "seen", "wanted", "each", "own", "made", "here"}
"""Names of variables that do not tell what the variable holds."""

EXCUSED: dict[str, str] = {
    "plugins/mtlkit-synthetic-faces/scripts/extract_head.py: trunk": "a part of the body",
}
"""Text that keeps a phrase, and the reason: ``path: phrase`` to reason."""


def files(*endings: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    chosen = [
        ROOT / name
        for name in listed
        if name.endswith(endings) and not name.startswith(NOT_OURS) and "/tests/" not in name
    ]
    return [path for path in chosen if path.is_file()]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every local name that code binds: variables, parameters, loop targets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def prose_of(path: Path) -> list[tuple[int, str]]:
    """The lines of `path` that are read as prose: comments, strings and docs, no code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return list(enumerate(text.splitlines(), 1))
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(('"""', "#", "'")) or "  # " in line or '"' in line:
            lines.append((number, line))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            end = node.end_lineno or node.lineno
            source = text.splitlines()[node.lineno - 1 : end]
            lines += list(enumerate(source, node.lineno))
    return sorted(set(lines))


def offences(path: Path) -> Iterator[str]:
    name = named(path)
    for number, line in prose_of(path):
        for pattern, better in PHRASES.items():
            for match in re.finditer(pattern, line, re.IGNORECASE):
                if f"{name}: {match[0]}" not in EXCUSED:
                    yield f"{name}:{number}: {match[0]!r}; write: {better}"
        for match in re.finditer(BRITISH, line, re.IGNORECASE):
            if f"{name}: {match[0]}" not in EXCUSED:
                yield f"{name}:{number}: {match[0]!r}; write American spelling"
    if path.suffix == ".py":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for number, text in docstrings(tree):
            if re.match(OPENERS, text):
                yield f"{name}:{number}: docstring starts with {text.split()[0]!r}; use a verb"
        for number, variable in bound_names(tree):
            if variable in NAMES:
                yield f"{name}:{number}: variable {variable!r}; name it for its value"


@pytest.mark.parametrize("path", files(".py", ".md", ".jinja", ".html"), ids=named)
def test_the_language_is_plain(path):
    assert not list(offences(path))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('"""What a step gives."""', "docstring starts with 'What'"),
        ('def f():\n    """Whether it is."""', "docstring starts with 'Whether'"),
        ("# the run goes on", "'goes on'"),
        ("x = 'it cannot be had'", "'cannot be had'"),
        ("# a file of its own", "'of its own'"),
        ("# it is no module", "'is no module'"),
        ("# normalise the colour", "'normalise'"),
        ("found = 1", "variable 'found'"),
        ("def f(told): ...", "variable 'told'"),
    ],
)
def test_an_offence_is_noticed(text, part, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(text)
    assert any(part in line for line in offences(path))
