"""The plan of a face set: every combination of factors, or a balanced sample of them."""

import math

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.protocol import FRONTAL_POSE, NEUTRAL_EXPRESSION, NEUTRAL_LIGHT, POSES

Ints = npt.NDArray[np.int32]


@attrs.frozen(eq=False)
class FacePlan:
    """The plan of a face set: arrays (N,), in which element i describes picture i.

    `pose` is the number of the camera in `protocol.POSES`, `yaw` its yaw in degrees, `light` the
    number in `protocol.LIGHTS`, `expression` the number in `protocol.EXPRESSIONS`.
    """

    subject: Ints
    session: Ints
    pose: Ints
    yaw: Ints
    light: Ints
    expression: Ints

    def __len__(self) -> int:
        return len(self.subject)

    @classmethod
    def of(cls, table: npt.ArrayLike) -> "FacePlan":
        """Create a plan from a table (N,5) of subject, session, pose, light, expression."""
        columns = np.asarray(table, np.int32).reshape(-1, 5).T
        subject, session, pose, light, expression = (np.ascontiguousarray(c) for c in columns)
        yaw = np.array([camera.yaw for camera in POSES], np.int32)[pose]
        return cls(subject, session, pose, yaw, light, expression)

    def take(self, index: npt.NDArray[np.integer] | slice) -> "FacePlan":
        """Return the plan of the pictures at `index`, in its order."""
        return FacePlan(*(array[index] for array in attrs.astuple(self, recurse=False)))

    @property
    def gallery(self) -> npt.NDArray[np.bool_]:
        """The gallery (N,): true for the frontal, neutral picture of session 0, one a subject."""
        factors = np.stack([self.session, self.pose, self.light, self.expression])
        neutral = np.array([0, FRONTAL_POSE, NEUTRAL_LIGHT, NEUTRAL_EXPRESSION])
        return np.asarray((factors == neutral[:, None]).all(0))


def plan(faces: FaceSet) -> FacePlan:
    """Return the rows of a face set, by subject, the gallery picture of each first.

    >>> rows = plan(FaceSet(subjects=3, images_per_subject=8))
    >>> len(rows), int(rows.gallery.sum())
    (24, 3)
    """
    combinations = _combinations(faces) if faces.images_per_subject is None else None
    blocks = []
    for subject in range(faces.first_subject, faces.first_subject + faces.subjects):
        block = combinations if combinations is not None else _balanced_sample(faces, subject)
        blocks.append(np.column_stack([np.full(len(block), subject), block]))
    return FacePlan.of(np.concatenate(blocks)[:, [0, 1, 2, 4, 3]])


def _first(values: list[int], first: int) -> list[int]:
    """Return the values with `first` moved to the front."""
    return [first, *(value for value in values if value != first)]


def _combinations(faces: FaceSet) -> npt.NDArray[np.int64]:
    """Return (session, pose, expression, light) of every combination of one subject."""
    grid = np.meshgrid(
        np.arange(faces.sessions),
        _first(list(range(faces.poses)), FRONTAL_POSE),
        np.arange(faces.expressions),
        faces.light_numbers,
        indexing="ij",
    )
    return np.stack([axis.ravel() for axis in grid], 1).astype(np.int64)


def _balanced_sample(faces: FaceSet, subject: int) -> npt.NDArray[np.int64]:
    """Return (session, pose, expression, light) of the sampled pictures of one subject.

    Geometries come in blocks that have each pose once; the (session, expression) pairs advance in
    both cycles at once, so every prefix is balanced and no geometry repeats.
    """
    random = np.random.default_rng([faces.seed, subject, 0x504C414E])
    poses = _first(random.permutation(faces.poses).tolist(), FRONTAL_POSE)
    sessions = _first(random.permutation(faces.sessions).tolist(), 0)
    expressions = _first(random.permutation(faces.expressions).tolist(), NEUTRAL_EXPRESSION)
    pairs = faces.sessions * faces.expressions
    cycle = math.lcm(faces.sessions, faces.expressions)
    # coprime to the number of pairs: a pose has all pairs before one repeats
    step = next(s for s in range(faces.poses, 2 * pairs + 16) if math.gcd(s, pairs) == 1)
    lights = faces.light_numbers
    lights_each = min(faces.lights_per_geometry, len(lights))
    count = faces.images_per_subject or 0
    remaining: list[int] = []
    sampled = []
    for number in range(-(-count // lights_each)):
        block, offset = divmod(number, faces.poses)
        # the shift varies the poses of a last, short block
        index = (offset + 5 * block) % faces.poses
        pair = (index + step * block) % pairs
        session = sessions[pair % faces.sessions]
        # the shift after each common multiple makes all pairs of both cycles different
        expression = expressions[(pair + pair // cycle) % faces.expressions]
        geometry = (session, poses[index], expression)
        geometry_lights: list[int] = [NEUTRAL_LIGHT] if number == 0 else []
        while len(geometry_lights) < lights_each:
            if not set(remaining) - set(geometry_lights):
                remaining += [lights[i] for i in random.permutation(len(lights))]
            light = next(light for light in remaining if light not in geometry_lights)
            remaining.remove(light)
            geometry_lights.append(light)
        sampled += [(*geometry, light) for light in geometry_lights]
    return np.array(sampled[:count], np.int64)
