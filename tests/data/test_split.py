"""Splits cover the samples, are disjoint, and depend on the seed and the set of samples only."""

from collections import Counter

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mtlkit.data import RandomSplit
from mtlkit.data.split import split_samples
from mtlkit.errors import DataError

SAMPLES = st.lists(
    st.tuples(st.text("abcdef", min_size=1), st.sampled_from("uvwxyz")),
    min_size=40,
    max_size=80,
    unique_by=lambda sample: sample[0],
)
SPLITS = [
    RandomSplit(),
    RandomSplit(validation=0, test=0.3, seed=7),
    RandomSplit(stratify="subject"),
    RandomSplit(groups="subject", test=0.4),
]


def split_names(split, samples):
    ids = [name for name, _ in samples]
    parts = split_samples(split, ids, [label for _, label in samples])
    return {part: {ids[i] for i in indices} for part, indices in parts.items()}


@pytest.mark.parametrize("split", SPLITS)
@settings(max_examples=30)
@given(SAMPLES, st.randoms())
def test_splits_partition_the_set_of_samples(split, samples, random):
    assume(len({label for _, label in samples}) >= 3)  # or a split of subjects might be empty
    parts = split_names(split, samples)
    every = [name for names in parts.values() for name in names]
    assert sorted(every) == sorted(name for name, _ in samples)
    shuffled = samples.copy()
    random.shuffle(shuffled)
    assert split_names(split, shuffled) == parts


@settings(max_examples=30)
@given(SAMPLES, st.integers(0, 99))
def test_test_subjects_are_strangers_and_validation_subjects_are_not(samples, seed):
    subject = dict(samples)
    assume(len(set(subject.values())) >= 3)
    split = RandomSplit(groups="subject", test=0.4, validation=0, seed=seed)
    test = split_names(split, samples)["test"]
    parts = split_names(attrs.evolve(split, validation=0.05), samples)
    assert parts["test"] == test  # validation is taken from the training alone
    strangers = {subject[name] for name in test}
    assert not strangers & {subject[name] for name in parts["train"] | parts["validation"]}


def test_validation_takes_its_share_of_every_training_subject():
    ids = [f"{i:03}" for i in range(100)]
    who = [f"s{i % 5}" for i in range(100)]
    parts = split_samples(RandomSplit(groups="who", test=0.2, validation=0.2), ids, who)
    counts = Counter(who[place] for place in parts["validation"])
    assert sorted(counts.values()) == [5, 5, 5, 5]


def test_by_ratio_the_counts_are_the_fractions():
    parts = split_samples(
        RandomSplit(validation=0.1, test=0.25), [f"{i}" for i in range(200)], None
    )
    assert {split: len(places) for split, places in parts.items()} == {
        "train": 130,
        "validation": 20,
        "test": 50,
    }


def test_stratified_every_label_has_its_share():
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10 + [None] * 40
    parts = split_samples(RandomSplit(stratify="x"), [f"{i}" for i in range(200)], labels)
    for split, share in (("test", 0.2), ("validation", 0.1), ("train", 0.7)):
        counts = Counter(labels[place] for place in parts[split])
        for label, size in Counter(labels).items():
            assert abs(counts[label] - share * size) <= 1.5, (split, label)


def test_a_rare_label_is_trained_on():
    labels = ["a"] * 19 + ["rare"]
    parts = split_samples(RandomSplit(stratify="x"), [f"{i}" for i in range(20)], labels)
    assert 19 in parts["train"]


def test_another_seed_is_another_split():
    ids = [f"{i}" for i in range(100)]
    first, again, other = (split_samples(RandomSplit(seed=seed), ids, None) for seed in (0, 0, 1))
    assert first == again != other


def test_a_sample_more_moves_few_others():
    ids = [f"{i}" for i in range(1000)]
    before = split_samples(RandomSplit(), ids, None)
    after = split_samples(RandomSplit(), [*ids, "new"], None)
    moved = set(before["test"]) ^ set(after["test"])
    assert len(moved) <= 3


@pytest.mark.parametrize(
    ("split", "labels", "message"),
    [
        (
            RandomSplit(test=0.1, validation=0),
            None,
            "the test split is empty: 0.1 of 4 samples is less than one; use `test: 0` for none",
        ),
        (
            RandomSplit(test=0.25, validation=0.1),
            None,
            "the validation split is empty: 0.1 of 4 samples is less than one; use "
            "`validation: 0` for none",
        ),
        (
            RandomSplit(groups="who", test=0.2, validation=0),
            ["x", "x", "y", "y"],
            "the test split is empty: 0.2 of 2 values of 'who' is less than one; use `test: 0` "
            "for none",
        ),
        (
            RandomSplit(groups="who", test=0.8, validation=0),
            ["x", "x", "x", "y"],
            "the training split is empty: there are only 4 samples in all",
        ),
        (
            RandomSplit(groups="who"),
            ["x", "x", None, "y"],
            "c: has no 'who', by which the data is split into groups",
        ),
    ],
)
def test_what_cannot_be_split(split, labels, message):
    with pytest.raises(DataError) as caught:
        split_samples(split, ["a", "b", "c", "d"], labels)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"test": 0.6, "validation": 0.4},
            "test: expected validation and test to sum to less than 1, got 0.4 + 0.6",
        ),
        ({"test": -0.1}, "test: expected a number from 0 to 1, got -0.1"),
        (
            {"groups": "a", "stratify": "b"},
            "stratify: expected one of `groups` and `stratify`, got both",
        ),
    ],
)
def test_an_invalid_split(options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        RandomSplit(**options)
    assert str(caught.value) == message
