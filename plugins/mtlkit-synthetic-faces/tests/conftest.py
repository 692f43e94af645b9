"""One small studio for all tests of the generator."""

import pytest
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.head import HeadModel
from mtlkit_synthetic_faces.rendering.render import PhotoSession, Studio


@pytest.fixture(scope="session")
def model() -> HeadModel:
    return HeadModel.load()


@pytest.fixture(scope="session")
def faces() -> FaceSet:
    """Small and without what is random from picture to picture."""
    return FaceSet(subjects=3, size=32, sessions=2, exposure=0, noise=0, jitter_px=0)


@pytest.fixture(scope="session")
def studio(faces: FaceSet) -> Studio:
    return Studio.open(faces)


@pytest.fixture(scope="session")
def photo_session(studio: Studio) -> PhotoSession:
    return PhotoSession.of(studio, 0, 0)
