"""The arms of the study, which are rows of the paper's experiments, by name."""

from collections.abc import Mapping

from mtlkit.plugins import RunError, did_you_mean
from mtlkit_face.study.sizes import Arm, Size

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
            name="m-cnn-normalized",
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
            short=(_SIDE, _GATE),
            batch=8,
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
