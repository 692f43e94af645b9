"""Rendered faces as a data source: some subjects to train on, others to recognise."""

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtlkit.data import DataSource, Loading
from mtlkit.plugins import at_least, between, optional
from mtlkit_face.synthetic.face_set import FaceSet

if TYPE_CHECKING:
    from mtlkit.data import Data


@attrs.frozen(kw_only=True)
class Rendered(DataSource, FaceSet):
    """Rendered faces with the labels subject, yaw, light, expression and session.

    With all 20 lights, light has 20 classes where `face/multi-pie` has 19: 0 and 19 are both the
    room's light alone, whose pictures differ by exposure and noise only. No network can tell them
    apart, so that accuracy on light ends near 0.95 (docs/explanation/faces.md has the figures).

    The options of `FaceSet` describe the training subjects. `test_subjects` others, rendered alike,
    with `test_images_per_subject` images each (None: as many as in training), are the test split:
    nobody is in both. `validation` is the part of each training subject's images that is held out
    of training, to measure the tasks on known subjects. `labels` is a table, CSV or Parquet, whose
    columns become labels beside these: classes by the column `file`, which is the id of an image;
    where it has no row, or an empty cell, the label is missing. It lies relative to the recipe.
    """

    subjects: int = attrs.field(default=240, validator=at_least(1))
    test_subjects: int = attrs.field(default=60, validator=at_least(1))
    images_per_subject: int | None = attrs.field(default=104, validator=optional(at_least(2)))
    test_images_per_subject: int | None = attrs.field(default=None, validator=optional(at_least(2)))
    validation: float = attrs.field(default=0.1, validator=between(0, 0.9))
    labels: Path | None = None

    def load(self, loading: Loading) -> "Data":
        from mtlkit_face.rendered_data import load_rendered

        return load_rendered(self, loading)

    def faces(self, *, test: bool = False) -> FaceSet:
        """The training faces, or those of the test subjects, who are numbered after them."""
        options = {field.name: getattr(self, field.name) for field in attrs.fields(FaceSet)}
        if test:
            options["first_subject"] += self.subjects
            options["subjects"] = self.test_subjects
            if self.test_images_per_subject is not None:
                options["images_per_subject"] = self.test_images_per_subject
        return FaceSet(**options)
