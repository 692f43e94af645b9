"""The measures of splits: the people drawn, and the operating points."""

import math

import attrs
import numpy as np
import pytest
from mtlkit_face.metrics.intervals import resamples
from mtlkit_face.metrics.rank import search
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.rules import RULES
from mtlkit_face.protocols.templates import measures as module
from mtlkit_face.protocols.templates.measures import SplitScores, split_measures

PEOPLE = 12


def split(seed: int) -> SplitScores:
    """Return 60 comparisons of twelve people, and a search of 24 probes among eight of them."""
    random = np.random.default_rng(seed)
    first = random.integers(0, PEOPLE, 60)
    second = np.where(np.arange(60) < 25, first, random.integers(0, PEOPLE, 60))
    probe = np.arange(24) % PEOPLE
    gallery = np.arange(8)
    scores = random.normal(size=(24, 8)) + 1.5 * (probe[:, None] == gallery)
    return SplitScores(
        score=random.normal(size=60) + 1.5 * (first == second),
        first=first,
        second=second,
        search=search(scores, probe, gallery),
        probe=probe,
        failed=0,
    )


def measured(splits):
    return split_measures(
        splits,
        fars=(0.1, 0.01),
        ranks=(1,),
        fpirs=(0.3, 0.1),
        rules=RULES[Mode.STRICT],
        replicates=20,
    )


def test_people_are_drawn_whatever_their_numbers(monkeypatch):
    """Gaps between the numbers of a table do not add people."""
    splits = [split(0), split(1)]
    drawn = []
    monkeypatch.setattr(module, "resamples", lambda n, most: drawn.append(n) or resamples(n, most))
    numbers = 10**15 + 7 * np.arange(PEOPLE) ** 2
    gaps = [
        attrs.evolve(
            one,
            first=numbers[one.first],
            second=numbers[one.second],
            probe=numbers[one.probe],
        )
        for one in splits
    ]
    assert measured(gaps) == measured(splits)
    assert drawn == [PEOPLE, PEOPLE]


@pytest.mark.parametrize("target", [0.1, 0.01])
def test_operating_points_have_the_number_of_allowed_errors(target):
    """Of N impostors floor(far N), of M non-mated probes floor(fpir M), and strictly never more."""
    splits = [split(0), split(1)]
    measures = split_measures(splits, (target,), (1,), (target,), RULES[Mode.STRICT], 20)
    for name, among, rate in (
        (f"tar-at-far/{target:g}", "impostors", "achieved-far"),
        (f"tpir-at-fpir/{target:g}", "non-mated", "achieved-fpir"),
    ):
        at = measures[name].at
        for number, one in enumerate(splits, start=1):
            of = {"impostors": ~one.same, "non-mated": ~one.search.mated}[among].sum()
            assert at[f"{among}/{number}"] == of > 0
            assert at[f"{among}-allowed/{number}"] == math.floor(target * of)
            assert round(at[f"{rate}/{number}"] * of) <= math.floor(target * of)
