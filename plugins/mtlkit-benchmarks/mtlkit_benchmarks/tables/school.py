"""School: exam scores of pupils of 139 schools, a task for each school.

Paper: Andreas Argyriou, Theodoros Evgeniou and Massimiliano Pontil, "Convex Multi-Task Feature
Learning", Machine Learning 73(3), 2008; the data are those of the Inner London Education Authority.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import torch

from mtlkit.data import (
    Categorical,
    Column,
    Data,
    Loading,
    NumberTarget,
    Numeric,
    RandomSplit,
    Target,
)
from mtlkit.plugins import DataError
from mtlkit_benchmarks.random_splits import random_splits
from mtlkit_benchmarks.trees.files import read_mat, variable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

SCHOOLS, PUPILS = 139, 15_362


@attrs.frozen(kw_only=True)
class School(OfficialTree):
    """Pupils with the label ``school-N`` of their school, a score; the others are missing.

    `folder` has ``school.mat`` of MALSAR: X and Y, cells with the features (n, 28) and the scores
    (n, 1) of each school. Each school is divided by `split`. The extra ``official`` is needed.
    """

    folder: Path = Path("school")
    split: RandomSplit = attrs.field(
        factory=lambda: RandomSplit(validation=0.1, test=0.25, stratify="school")
    )

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {f"school-{number + 1}": NumberTarget for number in range(SCHOOLS)}

    def layout(self) -> Layout:
        page = "the folder data of jiayuzhou/MALSAR on GitHub"
        return Layout("School", page, (TreePart("school.mat", count=1),))

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        path = folder / "school.mat"
        variables = read_mat(path)
        features, scores = (variable(path, variables, name).reshape(-1) for name in ("X", "Y"))
        sizes = [len(part) for part in features]
        if sizes != [len(part) for part in scores]:
            raise DataError(
                f"{path}: got other numbers of pupils in X than in Y, expected one each"
            )
        if self.complete and (len(sizes), sum(sizes)) != (SCHOOLS, PUPILS):
            raise DataError(
                f"{path}: got {sum(sizes):,} pupils of {len(sizes)} schools, expected {PUPILS:,} "
                f"of {SCHOOLS}; set `complete: false`"
            )
        inputs = torch.from_numpy(np.concatenate([np.asarray(x, np.float32) for x in features]))
        values = torch.from_numpy(np.concatenate([np.asarray(y, np.float64) for y in scores]))[:, 0]
        school = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        names = tuple(f"school-{number + 1}" for number in range(len(sizes)))
        columns: Mapping[str, Column] = {
            "school": Categorical(school, names),
            **{
                name: Numeric(torch.where(school == number, values, torch.nan))
                for number, name in enumerate(names)
            },
        }
        ids = [f"pupil {number}" for number in range(len(inputs))]
        return attrs.evolve(random_splits(self.split, inputs, columns, ids), mean=0.0, std=1.0)
