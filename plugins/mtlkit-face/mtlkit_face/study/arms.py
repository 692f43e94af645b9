"""The arms of the study, which are rows of the paper's experiments, and its sizes."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit import Catalog, Recipe, load_recipe
from mtlkit.plugins import RunError, did_you_mean

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
        return load_recipe(arm.path, catalog, overrides)


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

# The paper makes half a million updates, the small study eight thousand, in which side tasks with
# a total weight of 0.1 hardly learn. The gate must learn no faster than they do: at a rate of 1e-4
# pose has 0.94 of the weight after a fifth of the training, while light is still at chance level
# (docs/studies/face-study.md).
_SIDE = "weighting.total=1.0"
_GATE = "weighting.learning_rate=1e-5"

ESTIMATED = Arm(
    name="m-cnn-pose-estimated",
    about="identity and an estimated pose",
    settings=("data.labels=poses-{seed}.csv",),
    short=(_SIDE,),
)


def _second_head(shares: str) -> str:
    return f"router={{type: face/second-head, task: identity, shares: {shares}}}"


# The p-CNN has poses, and also two templates and more parameters. `wider` gives the s-CNN as
# many parameters as the p-CNN with blocks, within 3 %.
_CONTROLS = (
    Arm(
        name="s-cnn-second-head",
        recipe="s-cnn",
        about="identity alone, two classifiers",
        settings=(_second_head("features"),),
    ),
    Arm(
        name="s-cnn-second-block",
        recipe="s-cnn",
        about="identity alone, two blocks 5",
        settings=(_second_head("stem"),),
    ),
    Arm(
        name="s-cnn-ensemble",
        recipe="s-cnn",
        about="identity alone, two networks",
        settings=(_second_head("nothing"),),
    ),
    Arm(
        name="s-cnn-wide",
        recipe="s-cnn",
        about="identity alone, as many parameters as the p-CNN with blocks",
        wider=1.56,
    ),
    Arm(
        name="s-cnn-mirror",
        recipe="s-cnn",
        about="identity alone, also matched with mirror images",
        settings=("evaluators=[{type: face/identification, mirror: true}]",),
    ),
    Arm(
        name="m-cnn-second-block",
        recipe="m-cnn",
        about="all side tasks, dynamic weights, two blocks 5",
        settings=(_second_head("stem"),),
        short=(_SIDE, _GATE),
    ),
)

ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(name="s-cnn", about="identity alone", core=True),
        Arm(name="s-cnn-pose", about="pose alone"),
        Arm(name="s-cnn-illumination", about="illumination alone"),
        Arm(name="s-cnn-expression", about="expression alone"),
        Arm(name="s-cnn-l2", about="identity alone, ten times the weight decay"),
        Arm(
            name="s-cnn-dropout",
            recipe="s-cnn",
            about="identity alone, dropout of 0.6 for 0.4",
            settings=("backbone.dropout=0.6",),
        ),
        Arm(name="m-cnn-pose", about="identity and pose", short=(_SIDE,)),
        ESTIMATED,
        Arm(name="m-cnn-illumination", about="identity and illumination", short=(_SIDE,)),
        Arm(name="m-cnn-expression", about="identity and expression", short=(_SIDE,)),
        Arm(name="m-cnn-equal", about="all side tasks, equal weights", core=True, short=(_SIDE,)),
        Arm(name="m-cnn", about="all side tasks, dynamic weights", core=True, short=(_SIDE, _GATE)),
        Arm(
            name="m-cnn-fast-gate",
            recipe="m-cnn",
            about="the gate at the optimizer's rate",
            short=(_SIDE,),
            only_short=True,
        ),
        Arm(
            name="m-cnn-normalised",
            about="dynamic weights of losses in units of ln(classes)",
            short=(_SIDE, _GATE),
        ),
        Arm(name="m-cnn-product", about="mean weight times mean loss", short=(_SIDE, _GATE)),
        Arm(name="m-cnn-released", about="the released layer's gradient", short=(_SIDE, _GATE)),
        Arm(name="m-cnn-harder", about="more weight to harder tasks", short=(_SIDE, _GATE)),
        Arm(name="m-cnn-side-block", about="side tasks branch off before block 5", short=(_SIDE,)),
        Arm(
            name="m-cnn-batch-8",
            about="batches of 8",
            # four times the updates: the gate moves as far as that of the m-CNN
            short=(
                _SIDE,
                "weighting.learning_rate=2.5e-6",
                "train.batch=8",
                "optimizer.lr=0.0075",
            ),
        ),
        Arm(name="p-cnn", about="a classifier for each pose group", short=(_SIDE, _GATE)),
        Arm(name="p-cnn-gated", about="a gate between the identity losses", short=(_SIDE, _GATE)),
        Arm(
            name="p-cnn-block",
            about="a block 5 for each pose group",
            core=True,  # the better of the two forms in a trial (docs/studies/face-study.md)
            short=(_SIDE, _GATE),
        ),
        *_CONTROLS,
    )
}

CONTROLS = tuple(arm.name for arm in _CONTROLS)
"""Arms that have what the pose-directed network has, without poses."""

SIDE_WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Values of the brute-force search for the sum of the side tasks' weights, phi_s."""

VALIDATION_SUBJECTS = 20
"""The number of training subjects on which the search is evaluated."""


def search_arms(size: Size) -> dict[str, Arm]:
    """Return the arms of the search for phi_s, with equal weights, by name.

    They are evaluated on the last 20 training subjects, which they do not train on; the test
    subjects are not used.
    """
    split = (
        f"data.subjects={size.subjects - VALIDATION_SUBJECTS}",
        f"data.test_subjects={VALIDATION_SUBJECTS}",
    )
    return {
        f"search-{weight:g}": Arm(
            name=f"search-{weight:g}",
            recipe="m-cnn-equal",
            about=f"validation subjects, side weights {weight:g} in all",
            settings=(*split, f"weighting.total={weight:g}"),
        )
        for weight in SIDE_WEIGHTS
    }


def select_arms(names: tuple[str, ...], size: Size) -> list[Arm]:
    """Return the named arms or groups (`core`, `controls`, `search`, `all`).

    Raises `RunError` if one is unknown.
    """
    search = search_arms(size)
    arms = {arm.name: arm for arm in ARMS.values() if size.short or not arm.only_short} | search
    groups = {
        "core": [arm for arm in ARMS.values() if arm.core],
        "controls": list(_CONTROLS),
        "search": list(search.values()),
        "all": list(arms.values()),
    }
    selected: dict[str, Arm] = {}
    for name in names:
        if name in groups:
            selected |= {arm.name: arm for arm in groups[name]}
        elif name in arms:
            selected[name] = arms[name]
        else:
            known = [*groups, *arms]
            raise RunError(
                f"no arm of the study is named {name!r}{did_you_mean(name, known)}; "
                f"the names are {', '.join(known)}"
            )
    return list(selected.values())
