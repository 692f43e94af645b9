"""Estimated poses of the training faces of a study, as the paper uses for faces in the wild."""

import csv
import io
from pathlib import Path

import attrs
import torch

from mtlkit import Catalog, load_recipe
from mtlkit.comparison import Job
from mtlkit.data import Loading, single_input
from mtlkit.plugins import RunError, write_file
from mtlkit_face.data.pose_labels import Estimator, Poses, group_of
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.study.arms import ESTIMATED
from mtlkit_face.study.results import run_folder
from mtlkit_face.study.sizes import RECIPES, Size

ESTIMATOR = "pose-estimator"
ESTIMATOR_SUBJECTS = 900_000
"""The number of the estimator's first subject, beyond all subjects of the study."""

_BATCH = 512


def estimates(study: Path, seed: int) -> Path:
    """Return the path of the table of estimated poses of a seed."""
    return study / f"poses-{seed}.csv"


def estimator_job(study: Path, size: Size, catalog: Catalog, loading: Loading) -> Job:
    """Return the training job of the network that estimates poses, on people outside the study.

    It uses the data of its recipe at the picture size of the study.
    """
    pixels = _faces(size, 0, catalog).size
    overrides = [f"data.size={pixels}", f"data.first_subject={ESTIMATOR_SUBJECTS}", *size.estimator]
    recipe = load_recipe(RECIPES / f"{ESTIMATOR}.yaml", catalog, overrides)
    path = run_folder(study, ESTIMATOR, 0)
    return Job(recipe=recipe, path=path, catalog=catalog, loading=loading)


def write_estimates(study: Path, size: Size, seed: int, catalog: Catalog, loading: Loading) -> str:
    """Write the estimated groups of a seed's training faces, and return their accuracy as text."""
    splits = _faces(size, seed, catalog).load(loading).splits()
    estimator = Estimator.load(run_folder(study, ESTIMATOR, 0), "pose")
    ids: list[str] = []
    truth: list[int] = []
    posteriors = []
    for split in (splits[name] for name in ("train", "validation") if name in splits):
        ids += split.ids
        truth += [group_of(float(yaw)) for yaw in split.categorical("yaw").values() if yaw]
        for index in torch.split(torch.arange(len(split)), _BATCH):
            posteriors.append(estimator.posteriors(single_input(split.inputs[index])))
    poses = Poses(ids, torch.cat(posteriors), size.sure)
    if not poses.sure.any():
        raise RunError(
            f"{run_folder(study, ESTIMATOR, 0)}: got no pose with a posterior of {size.sure} or "
            f"more; train the network longer, or lower the bound `sure` of the size"
        )
    text = io.StringIO()
    rows = zip(ids, poses.labels(), strict=True)
    csv.writer(text, lineterminator="\n").writerows([("file", "pose-group"), *rows])
    write_file(estimates(study, seed), text.getvalue().encode())
    right = (poses.best == torch.tensor(truth))[poses.sure].double().mean().item()
    sure = poses.sure.double().mean().item()
    return f"{sure:.3f} of the training faces have an estimated pose, {right:.3f} of them correct"


def _faces(size: Size, seed: int, catalog: Catalog) -> Rendered:
    data = size.recipe(ESTIMATED, seed, catalog).data
    assert isinstance(data, Rendered)
    return attrs.evolve(data, labels=None)
