"""A recipe to break, and a catalog with a component that has options of every type."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Literal

import attrs
import pytest

from mtlkit.component import above, each, one_of
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.plugins.registry import Entry, Origin
from mtlkit.routers import Branch, LinearBranch
from mtlkit.weightings import Equal, Weighting


class Colour(Enum):
    """Values that are texts and numbers."""

    RED = "red"
    SEVEN = 7


@attrs.frozen(kw_only=True)
class Inner:
    """A value that is no component."""

    depth: int = 1
    label: str | None = None


@attrs.frozen(kw_only=True)
class Everything(Weighting):
    """A weighting with options of every type a recipe can write."""

    needed: float = attrs.field(validator=above(0))
    text: str = "a"
    flag: bool = True
    path: Path | None = None
    colour: Colour = Colour.RED
    word: Literal["one", "two", 3] = "one"
    mixed: str | int | float = 1
    pair: tuple[int, str] = (1, "a")
    many: tuple[float, ...] = attrs.field(default=(), validator=each(above(0)))
    size: int | tuple[int, int] = 1
    table: Mapping[str, tuple[str | int, ...]] = attrs.field(factory=dict)
    inner: Inner = attrs.field(factory=Inner)
    maybe: Inner | None = None
    nested: Weighting = attrs.field(factory=Equal)
    branches: tuple[Branch, ...] = (LinearBranch(),)
    by_name: Mapping[str, Weighting] = attrs.field(factory=dict)
    form: str = attrs.field(default="no", validator=one_of("no", "1e-4", "~"))

    def build(self, terms, features):
        raise NotImplementedError


@pytest.fixture(scope="session")
def rich_catalog() -> Catalog:
    """Everything installed, and the component above as ``acme/everything``."""
    catalog = load_catalog("all")
    target = f"{Everything.__module__}:{Everything.__qualname__}"
    origin = Origin("mtlkit-acme", "1.0", "acme.py")
    catalog.weightings.add(Entry("weighting", "acme/everything", target, "", origin), Everything)
    return catalog


GOOD = """\
data: {type: images, folder: faces, pattern: "{subject}_{yaw}.png", size: 32}
backbone: {type: casia-net, width: 0.5}
tasks:
  identity: {role: main, target: subject, head: {type: classification}}
  pose: {target: yaw, head: classification}
router:
  type: grouped
  task: identity
  by: pose
  groups: {left: [-90, -45], front: [-30, 30], right: [45, 90]}
  branch: {type: linear}
  test: expected
weighting: {type: dynamic, total: 0.1}
optimizer: {type: sgd, lr: 0.02, momentum: 0.9, weight_decay: 5e-4}
train: {epochs: 20, batch: 64, precision: bf16}
evaluators: [{type: tasks}]
"""


@pytest.fixture(scope="session")
def good() -> str:
    """A recipe in which nothing is wrong."""
    return GOOD
