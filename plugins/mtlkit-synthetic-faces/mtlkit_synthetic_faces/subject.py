"""Random traits of a subject, by (seed, subject), and of its sessions."""

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.head import HeadModel
from mtlkit_synthetic_faces.protocol import EXPRESSIONS, FACE_UNITS

Vector = npt.NDArray[np.float64]
# Targets that look unnatural at full size, or move the whole head, which alignment undoes.
_SCALE = {
    "local/ears/": 0.6,
    "ear-shape": 0.25,
    "head-trans": 0.0,
    "neck-trans": 0.0,
    "local/neck/": 0.5,
    "nose-trans-in": 0.3,
    "nose-trans-out": 0.3,
    "mouth-trans-in": 0.3,
    "mouth-trans-out": 0.3,
    "head-age": 0.5,
    "eye-scale": 0.6,
    "eye-push": 0.5,
    "nose-flaring": 0.7,
    "eyefold": 0.7,
    "chin-jaw-drop": 0.7,
}
# The model's neutral face has a narrower mouth with lower corners than people.
_BIAS = {
    "local/mouth/mouth-scale-horiz-incr": 0.4,
    "local/mouth/mouth-angles-up": 0.3,
    "local/eyes/l-eye-scale-incr": 0.15,
    "local/eyes/r-eye-scale-incr": 0.15,
}
PALE = np.array([0.62, 0.41, 0.31])
DARK = np.array([0.13, 0.072, 0.048])
BLACK_HAIR = np.array([0.018, 0.014, 0.012])
FAIR_HAIR = np.array([0.34, 0.24, 0.14])
GRAY_HAIR = np.array([0.36, 0.36, 0.37])


@attrs.frozen(eq=False)
class SubjectTraits:
    """Traits of a person: shape weights, skin, brows, moles, wrinkles, hair color.

    Colors are linear reflectances (3,). `brow` is (height, arch, thickness, length, density),
    `moles` (K,4) are x, y, radius, strength on the front of the rest face, in decimeters.
    """

    shape: dict[str, float]
    male: float
    age: float
    skin: Vector
    lips: Vector
    iris: Vector
    hair: Vector
    brow: Vector
    redness: float
    sockets: float
    freckles: float
    wrinkles: float
    blotches: float
    moles: Vector
    baldness: float
    long_hair: bool
    beard_habit: float
    expressivity: Vector
    texture_key: int


@attrs.frozen(eq=False)
class SessionTraits:
    """Traits of one day: hair style, beard, tan, clothes, background.

    `hair_top`, `hair_side` are thicknesses in decimeters; `hairline` is the latitude in degrees of
    the hairline at the azimuths of `hair.HAIRLINE_AZIMUTHS`; `drape` (0..1) is the
    length of the hanging sides; `beard` is (mustache, chin, cheeks) density.
    """

    hair_top: float
    hair_side: float
    hair_lumps: float
    hairline: Vector
    drape: float
    beard: Vector
    skin_gain: Vector
    cloth: Vector
    neckline: float
    background: Vector
    gain: float
    texture_key: int


def _macro(random: np.random.Generator, model: HeadModel) -> tuple[dict[str, float], Vector]:
    """Return weights of the race, gender, age, muscle and weight targets; (male, age, dark)."""
    race = random.dirichlet([0.55, 0.55, 0.55])
    male = float(np.clip(random.beta(0.5, 0.5), 0.06, 0.94))
    age = float(np.clip(random.beta(1.0, 1.7), 0, 0.9))
    gender = {"male": male, "female": 1 - male}
    ages = {"old": age, "young": 1 - age}
    muscle, weight = (float(np.clip(random.normal(0, 0.42), -0.9, 0.9)) for _ in range(2))

    def spread(value: float) -> tuple[tuple[str, float], ...]:
        sides = (("max", max(value, 0.0)), ("min", max(-value, 0.0)))
        return (("average", 1 - abs(value)), *sides)

    weights: dict[str, float] = {}
    for sex, sex_share in gender.items():
        for era, era_share in ages.items():
            for name, part in zip(("african", "asian", "caucasian"), race, strict=True):
                weights[f"macro/{name}-{sex}-{era}"] = float(part) * sex_share * era_share
            for level, level_share in spread(muscle):
                for mass, mass_share in spread(weight):
                    name = f"macro/universal-{sex}-{era}-{level}muscle-{mass}weight"
                    weights[name] = sex_share * era_share * level_share * mass_share
    names = set(model.names)  # the model has no targets that leave the head unchanged
    dark = float(race @ np.array([0.85, 0.35, 0.12]))
    return {k: v for k, v in weights.items() if k in names}, np.array([male, age, dark])


def _local(random: np.random.Generator, model: HeadModel, amplitude: float) -> dict[str, float]:
    """Return weights of the local shape targets, equal on both sides, and of the asymmetries."""
    weights: dict[str, float] = {}
    for forth, back in model.local_groups:
        value = float(np.clip(random.normal(), -2.2, 2.2)) * amplitude
        for name in forth if value > 0 else back:
            scale = min((s for part, s in _SCALE.items() if part in name), default=1.0)
            weights[name] = abs(value) * scale
    for name, value in _BIAS.items():
        weights[name] = weights.get(name, 0.0) + value
    for name in model.asymmetries:
        weights[name] = abs(float(random.normal())) * amplitude * 0.35
    return weights


def draw_subject(faces: FaceSet, number: int, model: HeadModel) -> SubjectTraits:
    """Draw the subject `number` of a face set, by (seed, number) and the set's difficulty."""
    random = np.random.default_rng([faces.seed, number, 0x5355424A])
    shape, (male, age, dark) = _macro(random, model)
    shape |= _local(random, model, faces.identity_amplitude)
    vary = faces.skin_variation
    melanin = float(np.clip(dark + random.normal(0, 0.13), 0, 1))
    melanin = 0.32 + (melanin - 0.32) * (0.35 + 0.65 * vary)
    skin = PALE ** (1 - melanin) * DARK**melanin
    gray = float(np.clip((age - 0.5) * 2.2 + random.normal(0, 0.25), 0, 0.9))
    fair = float(np.clip(random.beta(0.7, 1.6) * (1 - melanin) * 1.3 - 0.05, 0, 1))
    hair = BLACK_HAIR ** (1 - fair) * FAIR_HAIR**fair
    tint = np.array([0.82, 0.60, 0.62]) * random.uniform(0.8, 1.08)
    tint *= 1 - (1 - male) * np.array([-0.08, 0.12, 0.08])
    moles = np.column_stack(
        [
            random.uniform(-0.62, 0.62, 12),
            random.uniform(6.35, 7.95, 12),
            random.uniform(0.012, 0.03, 12),
            random.uniform(0.3, 0.8, 12),
        ]
    )[: random.poisson(2.0 * (0.4 + vary))]
    brow = np.array([0.0, 0.035, 0.042, 0.42, 0.75]) + vary * random.normal(
        0, [0.018, 0.02, 0.012, 0.03, 0.16]
    )
    brow = np.maximum(brow, [-0.04, -0.01, 0.018, 0.34, 0.3])
    brow[2] *= 0.85 + 0.4 * male
    return SubjectTraits(
        shape=shape,
        male=male,
        age=age,
        skin=skin * random.normal(1, 0.02, 3),
        lips=np.clip(skin * tint, 0.01, 0.8),
        iris=np.array([0.06, 0.035, 0.02])
        + (1 - melanin) * random.beta(0.7, 1.3) * np.array([0.05, 0.12, 0.17]),
        hair=hair * (1 - gray) + GRAY_HAIR * gray,
        brow=brow,
        redness=float(random.uniform(0.3, 1.0) * (1 - 0.6 * melanin)),
        sockets=float(random.uniform(0.1, 0.3 + 0.4 * vary) + 0.15 * age),
        freckles=float(max(random.normal(-0.2, 0.6), 0) * (1 - melanin) * vary),
        wrinkles=float(np.clip(age * 1.2 + random.normal(0, 0.1), 0, 1)),
        blotches=float(random.uniform(0.5, 1.4)),
        moles=moles,
        baldness=float(np.clip((male > 0.5) * (age + random.normal(-0.1, 0.35)), 0, 1)),
        long_hair=bool(random.random() < (0.12 if male > 0.5 else 0.72)),
        beard_habit=float((male > 0.5) * random.beta(0.6, 0.9)),
        expressivity=random.uniform(0.8, 1.1, len(EXPRESSIONS)),
        texture_key=int(random.integers(1 << 30)),
    )


def _hairline(random: np.random.Generator, subject: SubjectTraits, drape: float) -> Vector:
    """Draw the latitudes of the hairline at `hair.HAIRLINE_AZIMUTHS`."""
    line = np.array([36.0, 36, 33, 25, 10, -6, -4, 12, 8, -10, -24, -32, -36])
    line[:5] += random.normal(0, 2.0) + np.array([0, 1, 1, 0, 0]) * random.normal(0, 3)
    line[:4] += subject.baldness**2 * np.array([22, 30, 32, 18])
    if random.random() < 0.3 * (1 - subject.baldness):  # a fringe
        line[:4] -= random.uniform(5, 14) * np.array([1, 1, 0.9, 0.5])
    if subject.male < 0.5:
        line[4:6] += 6
    if drape > 0.2:
        forward = random.uniform(0, 1)  # of the hair in front of the ears
        line[5:] = np.array([0, -18, -30, -52, -60, -62, -62, -62]) * drape
        line[4] -= 8 * forward
        line[5] -= 28 * forward
    return line


_BEARDS = ((0.9, 1.0, 0.85), (0.9, 1.0, 0.1), (1.0, 0.15, 0.1))  # full, goatee, mustache


def _style(random: np.random.Generator, faces: FaceSet, subject: SubjectTraits) -> SessionTraits:
    """Draw one look of a subject."""
    vary = faces.session_variation
    long = subject.long_hair and random.random() > 0.25 * vary  # sometimes it is tied back
    drape = float(random.uniform(0.55, 1.0)) if long else 0.0
    volume = random.uniform(0.5, 1.5)
    shaven = random.random() < 0.45
    cut = _BEARDS[random.choice(len(_BEARDS), p=(0.55, 0.25, 0.2))]
    beard = subject.beard_habit * (0.0 if shaven else random.uniform(0.5, 1.0)) * np.array(cut)
    beard = np.maximum(beard, (subject.male > 0.5) * random.uniform(0.02, 0.14))
    return SessionTraits(
        hair_top=float((0.05 + 0.16 * volume) * (1 - 0.6 * subject.baldness)),
        hair_side=float(0.03 + 0.06 * volume + 0.13 * drape),
        hair_lumps=float(random.uniform(0.2, 1.0)),
        hairline=_hairline(random, subject, drape),
        drape=drape,
        beard=beard,
        skin_gain=1 + vary * random.normal(0, 0.03) + random.normal(0, 0.012, 3) * vary,
        cloth=np.clip(random.beta(0.8, 1.6) * random.uniform(0.6, 1.2, 3), 0.015, 0.75),
        neckline=float(random.uniform(-0.1, 0.35)),
        background=random.uniform(size=8),
        gain=float(np.exp(vary * random.normal(0, 0.06))),
        texture_key=int(random.integers(1 << 30)),
    )


def draw_session(
    faces: FaceSet, number: int, session: int, subject: SubjectTraits
) -> SessionTraits:
    """Draw the traits of subject `number` in a session.

    Hair and beard interpolate the subject's usual look and that of the day, which has the weight
    `session_variation`; clothes and background are those of the day, unless nothing varies.
    """
    mixed = _mixed_session(faces, number, session, subject)
    return mixed if faces.style == 1 else attrs.evolve(mixed, hairline=_above_ears(mixed))


_EARS = slice(5, 9)  # of the hairline's azimuths, 73 to 95 degrees
_EAR_TOP = 15.0  # latitude in degrees


def _above_ears(session: SessionTraits) -> Vector:
    """Return the hairline of short hair above the ears, which would pierce it otherwise."""
    line = session.hairline.copy()
    short = float(np.clip(1 - session.drape / 0.25, 0, 1))
    line[_EARS] += short * np.maximum(_EAR_TOP - line[_EARS], 0)
    return line


def _mixed_session(
    faces: FaceSet, number: int, session: int, subject: SubjectTraits
) -> SessionTraits:
    share = faces.session_variation
    usual = _style(np.random.default_rng([faces.seed, number, 0x5553554C]), faces, subject)
    if share == 0:
        return usual
    day = _style(np.random.default_rng([faces.seed, number, session, 0x53455353]), faces, subject)

    def mixed(name: str) -> Any:
        return (1 - share) * getattr(usual, name) + share * getattr(day, name)

    names = ("hair_top", "hair_side", "hair_lumps", "hairline", "drape", "beard")
    return attrs.evolve(day, **{name: mixed(name) for name in names})


def expression_units(subject: SubjectTraits, expression: int) -> dict[str, float]:
    """Return face-unit targets and weights of an expression of this subject.

    The weights are multiplied by the subject's expressivity; a unit without sides has one target.
    """
    weights: dict[str, float] = {}
    for unit, weight in FACE_UNITS[EXPRESSIONS[expression]].items():
        value = min(weight * float(subject.expressivity[expression]), 1.0)
        sides = ("",) if unit in _UNSIDED else ("Left", "Right")
        weights |= {f"unit/{unit}{side}": value for side in sides}
    return weights


_UNSIDED = frozenset({"jawOpen", "browInnerUp", "mouthFunnel", "mouthShrugLower"})
