"""Who a subject is, what a session changes, and what is painted on the skin."""

import attrs
import numpy as np
import pytest
from mtlkit_synthetic_faces import hair, skin
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.head import HeadModel
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio
from mtlkit_synthetic_faces.subject import (
    SubjectTraits,
    draw_session,
    draw_subject,
    expression_units,
)

FACES = FaceSet()


def shapes(model: HeadModel, faces: FaceSet, count: int = 12) -> np.ndarray:
    return np.stack([model.vertices(draw_subject(faces, n, model).shape) for n in range(count)])


def test_a_subject_is_drawn_from_seed_and_number_alone(model: HeadModel) -> None:
    larger = attrs.evolve(FACES, subjects=999, size=100, first_subject=5, noise=0.1)
    first, second = draw_subject(FACES, 7, model), draw_subject(larger, 7, model)
    assert first.shape == second.shape
    assert np.array_equal(first.skin, second.skin)
    for other in (draw_subject(FACES, 8, model),
                  draw_subject(attrs.evolve(FACES, seed=1), 7, model)):  # fmt: skip
        assert other.shape != first.shape


def test_amplitude_is_how_far_identities_lie_apart(model: HeadModel) -> None:
    spread = [
        shapes(model, attrs.evolve(FACES, identity_amplitude=amplitude)).std(0).mean()
        for amplitude in (0.0, 0.2, 0.5)
    ]
    assert spread[0] < spread[1] < spread[2]


@pytest.mark.parametrize("number", range(0, 40, 5))
def test_a_subject_is_possible(model: HeadModel, number: int) -> None:
    subject = draw_subject(FACES, number, model)
    for color in (subject.skin, subject.lips, subject.iris, subject.hair):
        assert np.all((color > 0) & (color < 1))
    assert subject.skin[0] > subject.skin[1] > subject.skin[2]  # skin is warm
    macro = {name: w for name, w in subject.shape.items() if name.startswith("macro/")}
    races = sum(w for name, w in macro.items() if "universal" not in name)
    assert races == pytest.approx(1, abs=1e-6)
    assert min(macro.values()) >= 0
    size = np.ptp(model.vertices(subject.shape)[model.masks[0] > 0.5], axis=0)
    assert 0.2 < size[0] < 1.2  # a mouth of 2 to 12 centimetres


def test_subjects_differ_in_sex_age_and_skin(model: HeadModel) -> None:
    crowd = [draw_subject(FACES, number, model) for number in range(60)]
    assert 0.25 < np.mean([subject.male > 0.5 for subject in crowd]) < 0.75
    assert np.ptp([subject.age for subject in crowd]) > 0.5
    tones = [subject.skin[1] for subject in crowd]
    assert max(tones) > 1.7 * min(tones)


def test_a_session_changes_hair_and_clothes_but_not_the_person(model: HeadModel) -> None:
    subject = draw_subject(FACES, 3, model)
    days = [draw_session(FACES, 3, day, subject) for day in range(4)]
    assert len({tuple(day.hairline.round(3).tolist()) for day in days}) == 4
    assert len({tuple(day.cloth.round(3).tolist()) for day in days}) == 4
    assert np.abs(np.array([day.skin_gain for day in days]) - 1).max() < 0.2


def test_women_have_no_beard_and_some_men_grow_one(model: HeadModel) -> None:
    most = {True: 0.0, False: 0.0}
    for number in range(60):
        subject = draw_subject(FACES, number, model)
        for day in range(3):
            beard = float(draw_session(FACES, number, day, subject).beard.max())
            most[subject.male > 0.5] = max(most[subject.male > 0.5], beard)
    assert most[False] == 0
    assert most[True] > 0.5


def test_without_session_variation_every_day_is_the_same(model: HeadModel) -> None:
    still = attrs.evolve(FACES, session_variation=0.0)
    subject = draw_subject(still, 3, model)
    first, second = (draw_session(still, 3, day, subject) for day in (0, 3))
    assert np.array_equal(first.hairline, second.hairline)
    assert np.array_equal(first.skin_gain, [1, 1, 1])
    assert first.texture_key == second.texture_key


def test_neutral_is_no_expression_and_weights_stay_in_range(model: HeadModel) -> None:
    subject = draw_subject(FACES, 0, model)
    assert expression_units(subject, 0) == {}
    for expression in range(1, 6):
        assert all(0 < w <= 1 for w in expression_units(subject, expression).values())


def painted(studio: Studio, subject: SubjectTraits, **day: np.ndarray) -> np.ndarray:
    session = attrs.evolve(draw_session(studio.faces, 0, 0, subject), **day)
    rest = studio.rest_map
    bare = np.zeros(rest.shape[:2], np.float32)
    return skin.skin_map(rest, bare, skin.paint_of(subject, session)).mean(2)


def region(studio: Studio, x: float, y: float, half: float = 0.04) -> np.ndarray:
    """Texels around (+-x, y) on the front of the rest face."""
    rest = studio.rest_map
    near = (abs(abs(rest[..., 0]) - x) < half) & (abs(rest[..., 1] - y) < half)
    return near & (rest[..., 2] > 0.7)


def test_skin_is_a_reflectance_and_brows_are_darker(
    studio: Studio, photo_session: PhotoSession
) -> None:
    fair = attrs.evolve(
        photo_session.subject,
        skin=np.array([0.5, 0.35, 0.25]),
        hair=np.array([0.02, 0.02, 0.02]),
        brow=np.array([0, 0.035, 0.045, 0.42, 0.9]),
    )
    tone = painted(studio, fair)
    assert tone.min() > 0
    assert tone.max() < 1
    assert tone[region(studio, 0.3, 7.47)].mean() < 0.75 * tone[region(studio, 0.3, 7.75)].mean()


@pytest.mark.parametrize(("part", "x", "y"), [(0, 0.08, 6.75), (1, 0.05, 6.35), (2, 0.6, 6.55)])
def test_each_part_of_a_beard_darkens_its_place(
    studio: Studio, photo_session: PhotoSession, part: int, x: float, y: float
) -> None:
    fair = attrs.evolve(photo_session.subject, skin=np.full(3, 0.5), hair=np.full(3, 0.02))
    shaven = painted(studio, fair, beard=np.zeros(3))
    beard = np.zeros(3)
    beard[part] = 0.9
    bearded = painted(studio, fair, beard=beard)
    place = region(studio, x, y)
    assert bearded[place].mean() < 0.75 * shaven[place].mean()
    forehead = region(studio, 0.1, 7.8)
    assert np.array_equal(bearded[forehead], shaven[forehead])


def test_a_mole_is_a_dark_spot_at_its_place(studio: Studio, photo_session: PhotoSession) -> None:
    clear = attrs.evolve(photo_session.subject, moles=np.zeros((0, 4)))
    spotted = attrs.evolve(clear, moles=np.array([[0.4, 6.9, 0.05, 0.9]]))
    darker = painted(studio, clear) - painted(studio, spotted)
    assert darker.max() > 0.01
    where = studio.rest_map[darker > 1e-4]
    assert np.abs(where[:, :2] - [0.4, 6.9]).max() < 0.08


def test_hair_lies_outside_the_head_and_moves_with_it(
    studio: Studio, photo_session: PhotoSession
) -> None:
    points = photo_session._neutral
    shell = hair.shell(studio.scalp, points, photo_session.session)
    moved = hair.shell(studio.scalp, points + np.float32(0.5), photo_session.session)
    assert np.allclose(moved - shell, 0.5, atol=1e-3)
    crown = shell[: 4 * 72, 1].mean()
    assert crown > points[:, 1].max() - 0.1


def test_long_hair_hangs_lower_than_short(studio: Studio, photo_session: PhotoSession) -> None:
    short = attrs.evolve(photo_session.session, drape=0.0)
    long = attrs.evolve(photo_session.session, drape=1.0)
    points = photo_session._neutral
    low = [hair.shell(studio.scalp, points, session)[:, 1].min() for session in (short, long)]
    assert low[1] < low[0] - 0.5


def test_the_hairline_parts_hair_from_skin(studio: Studio, photo_session: PhotoSession) -> None:
    alpha = hair.hair_map(studio.size, photo_session.subject, photo_session.session)[..., 3]
    assert alpha[0].min() > 0.9  # the crown
    assert alpha[-1, studio.size.width // 2] < 0.1  # below the chin
    cover = hair.scalp_cover(studio.rest_map, photo_session.session)
    assert 0.1 < cover.mean() < 0.8
    assert cover.max() <= 1
    assert np.ptp(hair.hairline(photo_session.session, np.array([-1.0, 1.0], np.float32))) == 0
