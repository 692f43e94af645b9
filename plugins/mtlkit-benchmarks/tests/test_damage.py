"""A damaged file of a data set is refused with its name, or read as another one."""

import importlib.util
import random
import shutil
import traceback
from pathlib import Path

import pytest
import torch

from mtlkit.data import Loading
from mtlkit.plugins import MtlkitError

_SPEC = importlib.util.spec_from_file_location(
    "conformance", Path(__file__).with_name("test_conformance.py")
)
_conformance = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_conformance)
SOURCES = _conformance.SOURCES

FOLDERS = {
    "multi-mnist": "mnist",
    "office-caltech10": "officecaltech10",
    "universal-dependencies": "ud",
}
"""Folders that are not called like their source."""

DAMAGES = 12
"""Number of damaged files of each source."""


def damaged(content, rng):
    """Flip a bit, cut the end, or replace some bytes."""
    at, way = rng.randrange(max(len(content), 1)), rng.random()
    if not content or way < 0.25:
        return content[:at]
    changed = bytearray(content)
    if way < 0.75:
        changed[at] ^= 1 << rng.randrange(8)
    else:
        changed[at : at + 8] = rng.randbytes(8)
    return bytes(changed)


def read_all(source, base):
    data = source.load(Loading(base=base, workers=1))
    for split in data.splits().values():
        every = torch.arange(len(split))
        split.inputs[every]
        for labels in split.columns.values():
            labels[every]


@pytest.mark.filterwarnings("ignore:.*encountered in cast", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", SOURCES)
def test_a_damaged_file_is_named(name, tree, tmp_path):
    whole = tree(FOLDERS.get(name, name))
    kept = tmp_path / "kept"
    shutil.copytree(whole, kept)
    files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file())
    rng = random.Random(name)
    wrong = []
    for _ in range(DAMAGES):
        file = rng.choice(files)
        content = damaged((kept / file).read_bytes(), rng)
        (whole / file).write_bytes(content)
        try:
            read_all(SOURCES[name], tmp_path)
        except MtlkitError as error:
            if whole.name not in str(error):
                wrong.append(f"{file}: {error}")
        except Exception:
            wrong.append(f"{file}: " + "".join(traceback.format_exc().splitlines(True)[-5:]))
        (whole / file).write_bytes((kept / file).read_bytes())
    assert not wrong, "\n".join(wrong[:12])
