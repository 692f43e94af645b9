"""The rows of the paper's experiments, each a recipe, and the two sizes they come in."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit import Catalog, Recipe, load_recipe
from mtlkit.plugins import RunError, did_you_mean

RECIPES = Path(__file__).parents[1] / "recipes"


@attrs.frozen(kw_only=True)
class Arm:
    """A row of the study: a recipe, and what a size changes in it beside what it changes in all.

    `about` says in a few words what is special. The `core` arms are those of the small study's
    first answer; `settings` are as of ``--set``, for every size, `short` where updates are few.
    """

    name: str
    about: str
    recipe: str = ""  # the file; by default the arm's name
    core: bool = False
    settings: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    only_short: bool = False  # where updates are many it is another arm, by another name

    @property
    def path(self) -> Path:
        """The recipe's file."""
        return RECIPES / f"{self.recipe or self.name}.yaml"


@attrs.frozen(kw_only=True)
class Size:
    """How large the study is: settings as of ``--set`` for all arms, and how many seeds.

    `short` where it has so few updates that the arms need settings of their own for them.
    """

    name: str
    about: str
    seeds: int
    subjects: int  # who are trained on
    short: bool = False
    settings: tuple[str, ...] = ()
    estimator: tuple[str, ...] = ()  # what it changes in the network that estimates poses
    sure: float = 0.9  # the posterior from which an estimated pose becomes a label

    def recipe(self, arm: Arm, seed: int, catalog: Catalog) -> Recipe:
        """The recipe of `arm` at this size; every seed has people of its own, trained and tested.

        So that what is found holds for more than one draw of people.
        """
        short = arm.short if self.short else ()
        own = (f"data.first_subject={PEOPLE * seed}", f"seed={seed}")
        settings = [*self.settings, *arm.settings, *short, *own]
        return load_recipe(
            arm.path, catalog, [each.replace("{seed}", str(seed)) for each in settings]
        )


PEOPLE = 1000
"""How far apart the first subjects of two seeds are; no size has as many."""

SMALL = Size(
    name="small",
    about="two CPU cores: 120 subjects and 60 others, 48 px, half the width, 30 epochs",
    seeds=5,
    subjects=120,
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
        "backbone.width=0.5",
        "optimizer.lr=0.03",
        "schedule={type: cosine}",
        "train.epochs=30",
        "train.batch=32",
        "train.threads=1",
        "train.evaluate_every=5",
        "train.checkpoint_every=1000",
    ),
)

FULL = Size(
    name="full",
    about="the paper's people and schedule, every picture of four sessions (1.2 million to train "
    "on and 21 GB a seed), in batches of 64 for a GPU",
    seeds=3,
    subjects=200,
)

SIZES: Mapping[str, Size] = {size.name: size for size in (SMALL, FULL)}

# Half a million updates of the paper are eight thousand here, in which side tasks at 0.1 in all
# hardly start; and the gate must be no faster than they learn, or by then it has given everything
# to the easiest one: at 1e-4 pose has 0.94 of the weight after a fifth of the training, while
# light is still a guess (docs/studies/face-study.md).
_SIDE = "weighting.total=1.0"
_GATE = "weighting.learning_rate=1e-5"

ESTIMATED = Arm(
    name="m-cnn-pose-estimated",
    about="identity and an estimated pose",
    settings=("data.labels=poses-{seed}.csv",),
    short=(_SIDE,),
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
            about="the gate at the optimiser's own rate",
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
        Arm(name="m-cnn-side-block", about="side tasks part before block 5", short=(_SIDE,)),
        Arm(
            name="m-cnn-batch-8",
            about="batches of 8",
            # four times the updates: the gate is to come as far as that of the m-CNN
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
            core=True,  # of the two forms, it did better in a trial (docs/studies/face-study.md)
            short=(_SIDE, _GATE),
        ),
    )
}

SIDE_WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""What the brute-force search tries for the sum of the side tasks' weights, phi_s."""

SEARCHED = 20
"""How many training subjects the search is judged on."""


def searching(size: Size) -> dict[str, Arm]:
    """The arms of the search for phi_s: equal weights, judged on 20 of the training subjects.

    The last ones play the strangers, and nobody of the test set is looked at.
    """
    known = (f"data.subjects={size.subjects - SEARCHED}", f"data.test_subjects={SEARCHED}")
    return {
        f"search-{weight:g}": Arm(
            name=f"search-{weight:g}",
            recipe="m-cnn-equal",
            about=f"validation subjects, side weights {weight:g} in all",
            settings=(*known, f"weighting.total={weight:g}"),
        )
        for weight in SIDE_WEIGHTS
    }


def chosen(words: tuple[str, ...], size: Size) -> list[Arm]:
    """The arms that `words` name: arms, or `core`, `search`, `all`; `RunError` for a stranger."""
    search = searching(size)
    arms = {arm.name: arm for arm in ARMS.values() if size.short or not arm.only_short} | search
    groups = {
        "core": [arm for arm in ARMS.values() if arm.core],
        "search": list(search.values()),
        "all": list(arms.values()),
    }
    found: dict[str, Arm] = {}
    for word in words:
        if word in groups:
            found |= {arm.name: arm for arm in groups[word]}
        elif word in arms:
            found[word] = arms[word]
        else:
            known = [*groups, *arms]
            raise RunError(
                f"no arm of the study is named {word!r}{did_you_mean(word, known)}; "
                f"there are {', '.join(known)}"
            )
    return list(found.values())
