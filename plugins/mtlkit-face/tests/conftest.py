"""Every official layout from rendered faces, tiny: two folds of four pairs, two splits."""

import numpy as np
import pytest
from mtlkit_face.protocols import rendered_sets
from mtlkit_synthetic_faces import FaceSet, render_set


@pytest.fixture(scope="session")
def people():
    faces = FaceSet(
        subjects=6, images_per_subject=6, size=32, sessions=1, lights=2, lights_per_geometry=2
    )
    return rendered_sets.People(render_set(faces, cache=None, workers=1), np.random.default_rng(0))


@pytest.fixture(scope="session")
def built(people, tmp_path_factory):
    """A folder with `lfw`, `cfp`, `ijb-a` and `pairs.bin`: two folds of four pairs, two splits."""
    out = tmp_path_factory.mktemp("sets")
    rendered_sets.write_lfw(people, out / "lfw", 2, 2)
    rendered_sets.write_cfp(people, out / "cfp", 2, 2)
    rendered_sets.write_bin(people, out / "pairs.bin", 2, 2)
    rendered_sets.write_ijb_a(people, out / "ijb-a", 2)
    return out
