"""Poses estimated for the training faces of a study, as the paper has them in the wild."""

import csv
import io
from pathlib import Path

import attrs
import torch

from mtlkit import Catalog, load_recipe
from mtlkit.atomic_files import write_file
from mtlkit.comparison import Job
from mtlkit.data import Loading
from mtlkit.errors import RunError
from mtlkit_face.pose_labels import Estimator, Poses, group_of
from mtlkit_face.rendered import Rendered
from mtlkit_face.study.arms import ESTIMATED, RECIPES, Size
from mtlkit_face.study.results import run_folder

ESTIMATOR = "pose-estimator"
STRANGERS = 900_000
"""The number of the estimator's first subject: nobody whom the study trains on or tests."""

_AT_ONCE = 512


def estimates(study: Path, seed: int) -> Path:
    """The table of estimated poses of the people of a seed."""
    return study / f"poses-{seed}.csv"


def estimator_job(study: Path, size: Size, catalog: Catalog, loading: Loading) -> Job:
    """The training of the network that estimates poses, on people who are nobody's in the study.

    It sees the faces of its own recipe, as large as the study's.
    """
    pixels = _faces(size, 0, catalog).size
    overrides = [f"data.size={pixels}", f"data.first_subject={STRANGERS}", *size.estimator]
    recipe = load_recipe(RECIPES / f"{ESTIMATOR}.yaml", catalog, overrides)
    path = run_folder(study, ESTIMATOR, 0)
    return Job(recipe=recipe, path=path, catalog=catalog, loading=loading)


def write_estimates(study: Path, size: Size, seed: int, catalog: Catalog, loading: Loading) -> str:
    """Write the estimated groups of a seed's training faces; how right they are, in words."""
    splits = _faces(size, seed, catalog).load(loading).splits()
    estimator = Estimator.load(run_folder(study, ESTIMATOR, 0), "pose")
    ids: list[str] = []
    truth: list[int] = []
    found = []
    for split in (splits[name] for name in ("train", "validation") if name in splits):
        ids += split.ids
        truth += [group_of(float(yaw)) for yaw in split.categorical("yaw").values() if yaw]
        for index in torch.split(torch.arange(len(split)), _AT_ONCE):
            found.append(estimator.posteriors(split.inputs[index]))
    poses = Poses(ids, torch.cat(found), size.sure)
    if not poses.sure.any():
        raise RunError(
            f"{run_folder(study, ESTIMATOR, 0)}: the network is sure of the pose of no face; it "
            f"has to train longer, or to be sure with a posterior of less than {size.sure}"
        )
    text = io.StringIO()
    rows = zip(ids, poses.labels(), strict=True)
    csv.writer(text, lineterminator="\n").writerows([("file", "pose-group"), *rows])
    write_file(estimates(study, seed), text.getvalue().encode())
    right = (poses.best == torch.tensor(truth))[poses.sure].double().mean().item()
    sure = poses.sure.double().mean().item()
    return f"{sure:.3f} of the training faces have an estimated pose, {right:.3f} of them are right"


def _faces(size: Size, seed: int, catalog: Catalog) -> Rendered:
    data = size.recipe(ESTIMATED, seed, catalog).data
    assert isinstance(data, Rendered)
    return attrs.evolve(data, labels=None)
