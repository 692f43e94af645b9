"""The z-buffer against a slow and plain one."""

import numpy as np
import pytest
from mtlkit_synthetic_faces.head import HAIR, SKIN
from mtlkit_synthetic_faces.rendering.raster import FAR, visible_triangles

SIDE = 24
OPAQUE = np.ones((4, 4), np.float32)


def scene(seed: int, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    screen = random.uniform(-4, SIDE + 4, (3 * count, 3)).astype(np.float32)
    return screen, np.arange(3 * count, dtype=np.int32).reshape(count, 3)


def drawn(
    screen: np.ndarray, triangles: np.ndarray, kind: int = SKIN, alpha: np.ndarray = OPAQUE
) -> tuple[np.ndarray, np.ndarray]:
    depth = np.full((SIDE, SIDE), FAR, np.float32)
    nearest = np.full((SIDE, SIDE), -1, np.int32)
    material = np.full(len(triangles), kind, np.uint8)
    corners = np.ones((len(triangles), 3, 2), np.float32)
    visible_triangles(screen, triangles, material, corners, alpha, depth, nearest)
    return depth, nearest


def plain(screen: np.ndarray, triangles: np.ndarray, both_sides: bool) -> np.ndarray:
    """The depth by solving for barycentric coordinates at every sample."""
    depth = np.full((SIDE, SIDE), FAR, np.float64)
    for triangle in triangles:
        corner = screen[triangle].astype(np.float64)
        area = np.linalg.det(corner[1:, :2] - corner[0, :2])
        if area >= 0 and not both_sides:
            continue
        matrix = np.vstack([corner[:, :2].T, np.ones(3)])
        for row in range(SIDE):
            for column in range(SIDE):
                share = np.linalg.solve(matrix, [column + 0.5, row + 0.5, 1])
                if (share >= 0).all():
                    depth[row, column] = min(depth[row, column], share @ corner[:, 2])
    return depth


@pytest.mark.parametrize("seed", range(3))
def test_depth_is_that_of_the_plain_method(seed: int) -> None:
    screen, triangles = scene(seed)
    depth, nearest = drawn(screen, triangles)
    expected = plain(screen, triangles, both_sides=False)
    same = np.isclose(depth, expected, rtol=1e-3, atol=1e-2)
    assert same.mean() > 0.995  # a sample on an edge may fall on either side
    assert np.array_equal(nearest >= 0, depth < FAR)


def test_hair_has_two_sides() -> None:
    screen, triangles = scene(1)
    depth, _ = drawn(screen, triangles, HAIR)
    expected = plain(screen, triangles, both_sides=True)
    assert np.isclose(depth, expected, rtol=1e-3, atol=1e-2).mean() > 0.995


def test_the_order_of_triangles_does_not_matter() -> None:
    screen, triangles = scene(4, 30)
    first, _ = drawn(screen, triangles)
    second, _ = drawn(screen, np.ascontiguousarray(triangles[::-1]))
    assert np.array_equal(first, second)


def test_the_nearer_triangle_is_seen() -> None:
    screen = np.array(
        [[0, 0, 5], [0, 20, 5], [20, 0, 5], [0, 0, 3], [0, 20, 3], [20, 0, 3]], np.float32
    )
    _, nearest = drawn(screen, np.array([[0, 1, 2], [3, 4, 5]], np.int32))
    assert set(np.unique(nearest)) == {-1, 1}


def test_alpha_cuts_hair_and_nothing_else() -> None:
    screen, triangles = scene(1)
    clear = np.zeros((4, 4), np.float32)
    assert (drawn(screen, triangles, HAIR, clear)[1] < 0).all()
    assert np.array_equal(drawn(screen, triangles, SKIN, clear)[1], drawn(screen, triangles)[1])


def test_neighbors_share_an_edge_without_gap_or_overlap() -> None:
    corners = np.array([[2, 2, 1], [2, 20, 1], [20, 20, 1], [20, 2, 1]], np.float32)
    _, nearest = drawn(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    assert (nearest >= 0).sum() == 18 * 18


def test_what_lies_outside_the_picture_is_left_out() -> None:
    screen = np.array([[-90, -90, 1], [-90, -50, 1], [-50, -90, 1]], np.float32)
    depth, nearest = drawn(screen, np.array([[0, 1, 2]], np.int32))
    assert (nearest < 0).all()
    assert (depth == FAR).all()
