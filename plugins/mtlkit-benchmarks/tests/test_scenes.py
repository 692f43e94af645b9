"""Drawn scenes: every label is what the geometry gives."""

import attrs
import numpy as np
import pytest
import torch
from mtlkit_benchmarks.scenes.random_scene import random_scene
from mtlkit_benchmarks.scenes.rendering import CLASSES, Scene, rays_of, render
from mtlkit_benchmarks.scenes.source import Scenes
from mtlkit_benchmarks.scenes.surfaces import Cuboid, Plane, Sphere, Wall

from mtlkit.data import Loading, UnitVectorMapTarget

SPHERE = Sphere(center=(0.1, -0.2, 3.0), radius=0.8)
BOX = Cuboid(center=(0.2, 0.1, 3.0), half=(0.5, 0.4, 0.6), yaw=0.4)


def points_of(view):
    return view.depth[..., None] * rays_of(*view.depth.shape)


def mirrored(surface):
    """The surface with left and right exchanged; a box and a sphere are their own mirror images."""
    if isinstance(surface, Plane):
        x, y, z = surface.normal
        return attrs.evolve(surface, normal=(-x, y, z))
    x, y, z = surface.center
    moved = attrs.evolve(surface, center=(-x, y, z))
    return attrs.evolve(moved, yaw=-moved.yaw) if isinstance(moved, Cuboid) else moved


def test_points_of_a_sphere_have_its_radius_and_the_normal_of_it():
    view = render(Scene(surfaces=[SPHERE]), 40, 60)
    seen = view.classes == CLASSES.index("sphere")
    out = points_of(view)[seen] - SPHERE.center
    assert seen.sum() > 100
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 0.8, atol=1e-9)
    np.testing.assert_allclose(view.normals[:, seen].T, out / 0.8, atol=1e-9)


def test_points_of_a_box_are_on_its_faces():
    view = render(Scene(surfaces=[BOX]), 64, 64)
    seen = view.classes == CLASSES.index("box")
    cos, sin = np.cos(BOX.yaw), np.sin(BOX.yaw)
    axes = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    local = (points_of(view)[seen] - BOX.center) @ axes.T
    assert seen.sum() > 100
    np.testing.assert_allclose((np.abs(local) / BOX.half).max(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(
        ((local / BOX.half) * (view.normals[:, seen].T @ axes.T)).sum(1), 1.0
    )


def test_the_normal_is_the_slope_of_the_depth():
    """Neighboring points of one plane differ at a right angle to its normal."""
    view = render(random_scene(np.random.default_rng(3)), 48, 48)
    points, normals = points_of(view), view.normals.transpose(1, 2, 0)
    step = points[:, 1:] - points[:, :-1]
    floor = (view.classes[:, 1:] == 0) & (view.classes[:, :-1] == 0)
    assert floor.any()
    np.testing.assert_allclose((step * normals[:, 1:]).sum(axis=2)[floor], 0.0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_all_pixels_of_a_random_scene_have_labels_that_face_the_camera(seed):
    view = render(random_scene(np.random.default_rng(seed)), 24, 32)
    assert (view.classes >= 0).all()
    assert (view.depth > 0).all()
    np.testing.assert_allclose(np.linalg.norm(view.normals, axis=0), 1.0)
    assert ((rays_of(24, 32).transpose(2, 0, 1) * view.normals).sum(axis=0) < 0).all()
    assert 0 <= view.image.min() <= view.image.max() <= 1


def test_the_mirror_image_of_a_scene_has_the_flipped_labels():
    scene = random_scene(np.random.default_rng(1))
    view = render(scene, 20, 30)
    other = render(Scene(surfaces=[mirrored(s) for s in scene.surfaces]), 20, 30)
    np.testing.assert_allclose(other.depth, view.depth[:, ::-1])
    np.testing.assert_array_equal(other.classes, view.classes[:, ::-1])
    flipped = UnitVectorMapTarget().flip(torch.tensor(view.normals), (20, 30))
    np.testing.assert_allclose(other.normals, flipped.numpy(), atol=1e-12)


def test_nothing_is_where_no_surface_is():
    wall = Wall(normal=(0.0, 0.0, 1.0), offset=4.0)  # seen from behind
    view = render(Scene(surfaces=[wall]), 2, 3)
    assert np.isnan(view.depth).all()
    assert (view.classes == -1).all()
    assert (view.normals == 0).all()
    assert (view.image == 0).all()


def test_a_scene_depends_only_on_the_seed_and_its_number():
    short = Scenes(samples=2, validation=1, test=1, size=8).load(Loading())
    long = Scenes(samples=3, validation=1, test=1, size=8).load(Loading())
    assert torch.equal(short.validation.inputs, long.train.inputs[2:])
    other = Scenes(samples=2, validation=1, test=1, size=8, seed=1).load(Loading())
    assert not torch.equal(short.train.inputs, other.train.inputs)


def test_a_size_of_three_sides_is_refused():
    with pytest.raises(ValueError, match=r"size: expected pixels of a side.*got \(1, 2, 3\)"):
        Scenes(size=(1, 2, 3))
