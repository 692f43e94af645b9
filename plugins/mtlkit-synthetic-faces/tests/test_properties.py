"""What pictures of faces must obey, whoever is shown: symmetry, light, noise, size, sampling."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import FacePlan
from mtlkit_synthetic_faces.protocol import FRONTAL_POSE, LIGHTS, POSES
from mtlkit_synthetic_faces.rendered import render_set
from mtlkit_synthetic_faces.rendering.render import LUMINANCE, PhotoSession, Studio
from mtlkit_synthetic_faces.sheet import contact_sheet, tiled

PEOPLE = 3
Array = np.ndarray[Any, Any]


def shots(photo_session: PhotoSession, *what: tuple[int, int, int]) -> Array:
    """Pictures (N,H,W) in gray levels of (pose, light, expression)."""
    rows = FacePlan.of([(photo_session.number, photo_session.day, *one) for one in what])
    return photo_session.photographs(rows)[:, 0].astype(float)


def frontal(photo_session: PhotoSession, light: int = 7) -> Array:
    return shots(photo_session, (FRONTAL_POSE, light, 0))[0]


def under(studio: Studio, **change: float) -> Studio:
    """The studio of the same faces with other options of the picture, its texture kept."""
    return attrs.evolve(studio, faces=attrs.evolve(studio.faces, **change))


@pytest.fixture(scope="module")
def even(studio: Studio) -> PhotoSession:
    """Somebody whose left and right sides are alike: no asymmetry, no moles, smooth hair."""
    plain = PhotoSession.of(studio, 0, 0)
    shape = {k: w for k, w in plain.subject.shape.items() if "/asym/" not in k}
    subject = attrs.evolve(plain.subject, shape=shape, moles=np.zeros((0, 4)), blotches=0.0,
                           freckles=0.0, wrinkles=0.0)  # fmt: skip
    session = attrs.evolve(plain.session, hair_lumps=0.0, background=np.full(8, 0.5))
    return attrs.evolve(plain, subject=subject, session=session)


class TestSymmetry:
    def test_the_head_of_an_even_subject_is_its_own_mirror_image(self, even: PhotoSession) -> None:
        rest = even.studio.model.rest
        points = even.mesh(0).points[: len(rest)]
        place = {tuple(row): i for i, row in enumerate((rest * 1e4).round().astype(int).tolist())}
        other = [place[(-x, y, z)] for x, y, z in place]  # of each vertex on the other side
        assert np.abs(points * np.array([-1, 1, 1]) - points[other]).max() < 0.02

    @pytest.mark.parametrize("pose", range(FRONTAL_POSE + 1))
    def test_a_turn_to_the_left_is_the_mirror_image_of_one_to_the_right(
        self, even: PhotoSession, pose: int
    ) -> None:
        mesh = even.mesh(0)
        here, there = (
            even.geometry(mesh, even.view(0, p)).empty.reshape(32, 32) for p in (pose, 12 - pose)
        )
        assert np.abs(here - there[:, ::-1]).mean() < 0.025  # locks of hair are nobody's mirror
        if pose < FRONTAL_POSE - 1:
            assert np.abs(here - there).mean() > 0.05

    @pytest.mark.parametrize(("pose", "light"), [(0, 2), (3, 1), (3, 7), (6, 1), (6, 14), (4, 17)])
    def test_so_is_the_picture_when_the_light_is_mirrored_too(
        self, even: PhotoSession, pose: int, light: int
    ) -> None:
        places = {(one.azimuth, one.elevation): i for i, one in enumerate(LIGHTS) if one.flash}
        mirror = places[-LIGHTS[light].azimuth, LIGHTS[light].elevation]
        here, there = shots(even, (pose, light, 0), (12 - pose, mirror, 0))
        inner = slice(6, 28)
        assert np.corrcoef(here[inner].ravel(), there[inner, ::-1].ravel())[0, 1] > 0.96


class TestLight:
    def test_a_flash_that_walks_round_moves_the_brightness_with_it(
        self, photo_session: PhotoSession
    ) -> None:
        flashes = [i for i in range(1, 14) if abs(LIGHTS[i].azimuth) <= 75]
        pictures = shots(photo_session, *[(FRONTAL_POSE, light, 0) for light in flashes])
        face = pictures[:, 12:26]
        tilt = face[:, :, 9:16].mean((1, 2)) - face[:, :, 16:23].mean((1, 2))
        assert np.all(np.diff(tilt) > 0)
        assert tilt[0] < 0 < tilt[-1]

    def test_a_flash_adds_light_to_a_face_that_has_none_of_the_rooms(
        self, even: PhotoSession
    ) -> None:
        lit = [frontal(even, light)[12:26, 10:22].mean() for light in (7, 4, 1)]
        assert lit[0] > lit[1] > lit[2]  # from the front, from 45 degrees, from the side

    @pytest.mark.parametrize("light", [0, 1, 7, 16])
    def test_more_exposure_darkens_no_pixel(self, photo_session: PhotoSession, light: int) -> None:
        gains = (0.25, 0.5, 1.0, 2.0, 8.0)
        pictures = [
            frontal(
                attrs.evolve(photo_session, session=attrs.evolve(photo_session.session, gain=gain)),
                light,
            )
            for gain in gains
        ]
        assert all((more >= less).all() for less, more in pairwise(pictures))
        means = [picture.mean() for picture in pictures]
        assert all(more > less + 3 for less, more in pairwise(means))

    def test_exposure_varies_as_much_as_asked_for(self, studio: Studio) -> None:
        """The same face under every light twice: with and without a spread of exposures."""
        photo_session = PhotoSession.of(studio, 0, 0)
        what = [(pose, light, 0) for pose in (5, 6, 7) for light in range(20)]
        fixed = shots(photo_session, *what).mean((1, 2))
        varied = shots(attrs.evolve(photo_session, studio=under(studio, exposure=0.3)), *what).mean(
            (1, 2)
        )
        logs = np.log(varied / fixed)
        # the tone curve (gamma 2.2, soft shoulder) turns 0.3 into something like 0.3 / 2.2
        assert 0.06 < logs.std() < 0.2
        assert abs(logs.mean()) < 0.06


class TestSessions:
    def test_without_variation_days_are_the_same_picture(self, studio: Studio) -> None:
        still = under(studio, session_variation=0.0)
        first, second = (PhotoSession.of(still, 1, day) for day in (0, 1))
        assert np.array_equal(first.mesh(3).points, second.mesh(3).points)
        assert np.array_equal(first._painted[0], second._painted[0])
        for pose in (0, FRONTAL_POSE, 9):
            assert np.array_equal(shots(first, (pose, 7, 3)), shots(second, (pose, 7, 3)))

    def test_with_it_only_what_a_day_may_change_is_changed(self, studio: Studio) -> None:
        first, second = (PhotoSession.of(studio, 1, day) for day in (0, 1))
        bones = len(studio.model.rest)
        for expression in range(6):
            one, other = first.mesh(expression), second.mesh(expression)
            assert np.array_equal(one.points[:bones], other.points[:bones])
        assert not np.array_equal(one.points[bones:], other.points[bones:])  # the hair
        same = ("skin", "lips", "iris", "brow", "moles", "expressivity", "hair")
        for name in same:
            assert np.array_equal(getattr(first.subject, name), getattr(second.subject, name))
        assert first.alignment.reach == second.alignment.reach

    @pytest.mark.parametrize("name", ["hair_top", "drape", "hairline", "beard"])
    def test_a_larger_share_of_the_day_moves_looks_further_from_the_usual(
        self, studio: Studio, name: str
    ) -> None:
        def look(share: float, number: int) -> Array:
            photo_session = PhotoSession.of(under(studio, session_variation=share), number, 1)
            return np.asarray(getattr(photo_session.session, name), float)

        away = [
            sum(np.abs(look(share, n) - look(0.0, n)).sum() for n in range(6))
            for share in (0.0, 0.25, 0.5, 1.0)
        ]
        assert away[0] == 0
        assert all(np.diff(away) > 0)


def cheeks(position: Array) -> Array:
    """Which samples (N,) are of cheeks and nose: without beard, brows and hair."""
    return (position[:, 1] > 6.4) & (position[:, 1] < 7.2) & (position[:, 2] > 0.6)


class TestIdentity:
    def test_a_turn_keeps_the_colors_of_a_person(self, studio: Studio) -> None:
        """Skin that two cameras see has one reflectance, so people keep their order."""
        tones = []
        for number in range(8):
            photo_session = PhotoSession.of(studio, number, 0)
            mesh = photo_session.mesh(0)
            buffers = [
                photo_session.geometry(mesh, photo_session.view(0, pose)) for pose in (4, 6, 8)
            ]
            tones.append([buffer.albedo[cheeks(buffer.position), 0].mean() for buffer in buffers])
        values = np.array(tones)
        assert np.corrcoef(values.T).min() > 0.97
        assert np.abs(values / values.mean(1, keepdims=True) - 1).max() < 0.25

    def test_more_amplitude_takes_pictures_further_apart(self, studio: Studio) -> None:
        """Of faces that differ in nothing but their bones."""
        paint = PhotoSession.of(studio, 0, 0)
        apart = []
        for amplitude in (0.0, 0.25, 0.6):
            room = under(studio, identity_amplitude=amplitude)
            faces = []
            for number in range(5):
                shape = PhotoSession.of(room, number, 0).subject.shape
                local = {k: w for k, w in shape.items() if not k.startswith("macro/")}
                macro = {k: w for k, w in paint.subject.shape.items() if k.startswith("macro/")}
                subject = attrs.evolve(paint.subject, shape=macro | local)
                faces.append(frontal(attrs.evolve(paint, subject=subject)))
            gaps = [np.abs(a - b).mean() for a in faces for b in faces if a is not b]
            apart.append(np.mean(gaps))
        assert apart[0] < 0.2
        assert apart[0] < apart[1] < apart[2]

    def test_faces_differ_in_every_pose(self, studio: Studio) -> None:
        people = [PhotoSession.of(studio, number, 0) for number in range(PEOPLE)]
        for pose in range(13):
            pictures = [shots(photo_session, (pose, 0, 0))[0] for photo_session in people]
            gaps = [np.abs(a - b).mean() for a in pictures for b in pictures if a is not b]
            assert min(gaps) > 3


class TestCamera:
    @pytest.mark.parametrize("jitter", [0.0, 0.7, 3.0])
    def test_jitter_stays_in_its_bounds_and_has_its_spread(
        self, studio: Studio, jitter: float
    ) -> None:
        photo_session = attrs.evolve(
            PhotoSession.of(studio, 0, 0), studio=under(studio, jitter_px=jitter)
        )
        still = PhotoSession.of(studio, 0, 0)
        moves = np.array([
            (photo_session.view(e, p).shift - still.view(e, p).shift) / studio.faces.supersampling
            for e in range(6) for p in range(13)
        ])  # fmt: skip
        assert np.abs(moves).max() <= 2.5 * jitter + 1e-4
        assert moves.std() == pytest.approx(jitter, rel=0.25, abs=1e-6)
        assert np.abs(moves.mean(0)).max() <= 0.4 * jitter + 1e-6
        zooms = [photo_session.view(0, p).scale / still.view(0, p).scale - 1 for p in range(13)]
        assert np.abs(zooms).max() <= 2.5 * 0.6 * jitter / studio.faces.size + 1e-6

    def test_every_light_of_a_geometry_shares_its_crop(self, studio: Studio) -> None:
        photo_session = attrs.evolve(
            PhotoSession.of(studio, 0, 0), studio=under(studio, jitter_px=3.0)
        )
        first, last = shots(photo_session, (FRONTAL_POSE, 0, 0), (FRONTAL_POSE, 19, 0))
        assert np.array_equal(first, last)

    def test_a_step_of_the_camera_is_a_small_step_of_the_picture(
        self, photo_session: PhotoSession
    ) -> None:
        pictures = shots(photo_session, *[(pose, 0, 0) for pose in range(13)])
        apart = np.abs(pictures[:, None] - pictures[None]).mean((2, 3))
        for pose in range(13):
            near = [other for other in range(13) if abs(other - pose) == 1]
            assert apart[pose, near].max() < apart[pose].max()
        assert POSES[0].yaw == -POSES[12].yaw


class TestSensor:
    @pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
    def test_noise_is_as_strong_as_its_option_and_has_no_bias(
        self, studio: Studio, noise: float
    ) -> None:
        clean = frontal(PhotoSession.of(studio, 0, 0))
        noisy = frontal(PhotoSession.of(under(studio, noise=noise), 0, 0))
        middle = (clean > 80) & (clean < 175)  # where nothing is cut off at black or white
        difference = (noisy - clean)[middle] / 255
        assert middle.sum() > 200
        assert difference.std() == pytest.approx(noise, rel=0.2)
        assert abs(difference.mean()) < 4 * noise / np.sqrt(middle.sum()) + 0.003

    def test_noise_of_two_pictures_is_independent(self, studio: Studio) -> None:
        what = [(FRONTAL_POSE, 0, 0), (FRONTAL_POSE, 19, 0)]  # the same light
        clean = shots(PhotoSession.of(studio, 0, 0), *what)
        noisy = shots(PhotoSession.of(under(studio, noise=0.05), 0, 0), *what)
        one, other = (noisy - clean).reshape(2, -1)
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.15

    def test_blur_takes_contrast_between_neighbors(self, studio: Studio) -> None:
        contrast = [
            np.abs(np.diff(frontal(PhotoSession.of(under(studio, blur=blur), 0, 0)), axis=1)).mean()
            for blur in (0.0, 0.5, 1.0)
        ]
        assert contrast[0] > contrast[1] > contrast[2]

    def test_gray_is_the_luminance_of_color_before_the_tone_curve(self, studio: Studio) -> None:
        color = under(studio, channels=3)
        gray_session, color_session = (PhotoSession.of(s, 1, 0) for s in (studio, color))
        for expression, pose in ((0, FRONTAL_POSE), (5, 2)):
            gray, three = (
                s.geometry(s.mesh(expression), s.view(expression, pose))
                for s in (gray_session, color_session)
            )
            assert np.array_equal(gray.position, three.position)
            same = np.isclose(three.albedo @ LUMINANCE, gray.albedo[:, 0], rtol=1e-3, atol=1e-4)
            assert same.mean() > 0.99  # teeth and the whites of eyes have a gray of their own


def coarse(pictures: Array) -> Array:
    """The means (N,8,8) of 8 x 8 equal parts of each picture."""
    count, side = len(pictures), pictures.shape[-1]
    return pictures.reshape(count, 8, side // 8, 8, side // 8).mean((2, 4))


def rendered(**options: Any) -> Array:
    plain = {"noise": 0.0, "exposure": 0.0, "jitter_px": 0.0, "images_per_subject": 4}
    faces = FaceSet(**{**plain, "subjects": 1, "blur": 0.0, **options})
    return render_set(faces, cache=None, workers=1).images[:, 0].astype(float)


@pytest.fixture(scope="module")
def large() -> Array:
    return rendered(size=112)


class TestSampling:
    @pytest.mark.parametrize("size", [32, 40, 64, 88, 104])
    def test_a_small_picture_shows_what_a_large_one_does(self, size: int, large: Array) -> None:
        small = coarse(rendered(size=size))
        assert np.corrcoef(small.ravel(), coarse(large).ravel())[0, 1] > 0.98
        assert abs(small.mean() - large.mean()) < 4

    def test_supersampling_comes_nearer_to_the_fine_picture(self) -> None:
        fine = rendered(size=40, supersampling=4)
        errors = [
            np.sqrt(((rendered(size=40, supersampling=s) - fine) ** 2).mean()) for s in (1, 2, 3)
        ]
        assert errors[0] > errors[1] > errors[2]
        assert errors[0] > 1.5 * errors[2]


small_pictures = st.builds(
    lambda count, channels, height, width, seed: np.random.default_rng(seed).integers(
        0, 255, (count, channels, height, width), dtype=np.uint8
    ),
    st.integers(1, 7), st.sampled_from([1, 3]), st.integers(1, 5), st.integers(1, 5),
    st.integers(0, 99),
)  # fmt: skip


class TestSheet:
    @settings(max_examples=40, database=None)
    @given(small_pictures, st.integers(1, 5))
    def test_every_picture_stands_once_on_white(self, pictures: Array, columns: int) -> None:
        sheet = tiled(pictures, columns)
        _, _, height, width = pictures.shape
        rest = sheet.copy()
        for number, picture in enumerate(pictures):
            top = 2 + (height + 2) * (number // columns)
            left = 2 + (width + 2) * (number % columns)
            place = np.s_[top : top + height, left : left + width]
            assert np.array_equal(sheet[place], picture.transpose(1, 2, 0))
            rest[place] = 255
        assert (rest == 255).all()

    def test_a_line_shows_one_person_pose_by_pose(
        self, studio: Studio, faces: FaceSet, cell: Callable[[Array, int, int], Array]
    ) -> None:
        sheet = contact_sheet(attrs.evolve(faces, lights=3, expressions=2), subjects=2)
        for line in range(2):
            photo_session = PhotoSession.of(studio, line, 0)
            flash = 7  # the frontal flash is among the first three lights
            for pose in (0, 5, 12):
                expected = shots(photo_session, (pose, flash, 0))[0]
                assert np.array_equal(cell(sheet, line, pose), expected)

    @pytest.fixture
    def cell(self, faces: FaceSet) -> Callable[[Array, int, int], Array]:
        side = faces.size

        def at(sheet: Array, line: int, column: int) -> Array:
            top, left = 2 + line * (side + 2), 2 + column * (side + 2)
            return sheet[top : top + side, left : left + side, 0]

        return at
