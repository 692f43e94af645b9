"""The sizes of the study, and the arms that each of them overrides."""

from collections.abc import Mapping
from pathlib import Path

import attrs
from attrs import evolve

from mtlkit import Catalog, Recipe, load_recipe
from mtlkit.weightings import Dynamic

RECIPES = Path(__file__).parents[1] / "recipes"


@attrs.frozen(kw_only=True)
class Arm:
    """An arm of the study: a recipe with its own overrides.

    `about` is a short description. The `core` arms are the default of the command; `settings` are
    overrides as of ``--set`` for every size, and `short` those for sizes with few updates.
    """

    name: str
    about: str
    recipe: str = ""  # the file; by default the arm's name
    core: bool = False
    settings: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    batch: int = 0  # for sizes with few updates, if it differs from that of the size
    wider: float = 1.0  # factor of the width of the size
    only_short: bool = False  # equals another arm at sizes with many updates

    @property
    def path(self) -> Path:
        """The recipe's file."""
        return RECIPES / f"{self.recipe or self.name}.yaml"


@attrs.frozen(kw_only=True)
class Size:
    """A size of the study: overrides as of ``--set`` for all arms, and the number of seeds.

    `short` adds each arm's overrides for few updates.
    """

    name: str
    about: str
    seeds: int
    subjects: int  # for training
    short: bool = False
    settings: tuple[str, ...] = ()
    estimator: tuple[str, ...] = ()  # overrides of the network that estimates poses
    width: float = 1.0  # of the backbone
    sure: float = 0.9  # the least posterior of an estimated pose that becomes a label

    def recipe(self, arm: Arm, seed: int, catalog: Catalog) -> Recipe:
        """Load the recipe of `arm` at this size.

        Every seed has its own people, for training and testing, so results hold for more than one
        draw of people.
        """
        short = arm.short if self.short else ()
        by_seed = (f"data.first_subject={PEOPLE * seed}", f"seed={seed}")
        width = f"backbone.width={self.width * arm.wider:g}"
        settings = [*self.settings, width, *arm.settings, *short, *by_seed]
        overrides = [setting.replace("{seed}", str(seed)) for setting in settings]
        recipe = load_recipe(arm.path, catalog, overrides)
        return _with_batch(recipe, arm.batch) if self.short and arm.batch else recipe


def _with_batch(recipe: Recipe, batch: int) -> Recipe:
    """Replace the batch, with rates that move the network and the gate as far in an epoch."""
    ratio = batch / recipe.train.batch
    weighting = recipe.weighting
    if isinstance(weighting, Dynamic) and weighting.learning_rate is not None:
        weighting = evolve(weighting, learning_rate=weighting.learning_rate * ratio)
    return evolve(
        recipe,
        train=evolve(recipe.train, batch=batch),
        optimizer=evolve(recipe.optimizer, lr=recipe.optimizer.lr * ratio),
        weighting=weighting,
    )


PEOPLE = 1000
"""Distance between the first subjects of two seeds; every size has fewer."""

SMALL = Size(
    name="small",
    about="two CPU cores: 120 subjects and 60 others, 48 px, half the width, 30 epochs",
    seeds=5,
    subjects=120,
    width=0.5,
    short=True,
    settings=(
        "data.subjects=120",
        "data.test_subjects=60",
        "data.images_per_subject=78",
        "data.test_images_per_subject=39",
        "data.size=48",
        "data.sessions=2",
        "data.session_variation=0.25",
        "data.identity_amplitude=0.36",
        "data.skin_variation=1.0",
        "data.exposure=0.1",
        "data.noise=0.01",
        "optimizer.lr=0.03",
        "schedule={type: cosine}",
        "train.epochs=30",
        "train.batch=32",
        "train.threads=1",
        "train.evaluate_every=5",
        "train.checkpoint_every=1000",
    ),
)

QUICK = Size(
    name="quick",
    about="a fraction of a minute a run: 80 subjects and 40 others, 32 px, a quarter of the width, "
    "12 epochs; it shows trends",
    seeds=3,
    subjects=80,
    width=0.25,
    short=True,
    settings=(
        *SMALL.settings,
        "data.subjects=80",
        "data.test_subjects=40",
        "data.images_per_subject=39",
        "data.test_images_per_subject=26",
        "data.size=32",
        "train.epochs=12",
        "train.batch=16",
        "train.evaluate_every=4",
    ),
)

FULL = Size(
    name="full",
    about="the paper's people and schedule, every picture of four sessions (1.2 million to train "
    "on and 21 GB a seed), in batches of 64 for a GPU",
    seeds=3,
    subjects=200,
)

SIZES: Mapping[str, Size] = {size.name: size for size in (QUICK, SMALL, FULL)}
