"""Reading ahead changes no bit, names what cannot be read, and leaves no thread."""

import gc
import subprocess
import sys
import threading
import time

import attrs
import pytest
import torch

from mtlkit.data import Crop, Mirror
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.errors import DataError
from mtlkit.recipe import Transforms
from mtlkit.training.batching.prefetch import Prefetcher
from mtlkit.training.checkpoint import tensors_of
from mtlkit.weightings import FAMO, MoDo, PCGrad

others = set()


@pytest.fixture(autouse=True)
def threads_of_other_tests():
    """Leave out threads of updaters that a failed call of another test keeps alive."""
    others.update(threading.enumerate())
    yield
    others.clear()


def threads(name):
    every = set(threading.enumerate()) - others
    return [thread for thread in every if thread.name.startswith(name)]


def trained(points, recipe, steps=range(8)):
    made = points.updater(recipe)
    for step in steps:
        made.update(step)
    assert bool(threads("read-ahead")) == (recipe.train.workers != 0 and recipe.data.on_access)
    made.backward.close()
    state = made.optimizer.state_dict()["state"]
    slots = {f"{key}/{name}": value for key, slot in state.items() for name, value in slot.items()}
    return tensors_of(made.inner) | slots


def same(one, other):
    assert one.keys() == other.keys()
    pairs = [(torch.as_tensor(one[name]), torch.as_tensor(other[name])) for name in one]
    return all(torch.equal(*pair) for pair in pairs)


def variants(points):
    yield points.PLAIN
    for weighting in (MoDo(), FAMO(), PCGrad()):
        yield attrs.evolve(points.PLAIN, weighting=weighting, tasks=points.COMMON)
    yield attrs.evolve(points.PLAIN, train=attrs.evolve(points.PLAIN.train, accumulate=3))


def test_reading_ahead_changes_no_bit(points):
    for recipe in variants(points):
        results = [
            trained(points, attrs.evolve(
                recipe,
                data=points.Points(on_access=on_access),
                train=attrs.evolve(recipe.train, workers=workers),
            ))
            for on_access, workers in ((False, 0), (True, 0), (True, 2))
        ]  # fmt: skip
        assert same(results[0], results[1])
        assert same(results[0], results[2])


def test_transforms_are_applied_ahead_with_the_same_bits(points):
    transforms = Transforms(train=(Mirror(swap={"side": {}}), Crop(size=16, padding=2)))
    recipe = attrs.evolve(points.PLAIN, data=points.Points(on_access=True), transforms=transforms)
    one, other = (
        trained(points, attrs.evolve(recipe, train=attrs.evolve(recipe.train, workers=workers)))
        for workers in (0, 2)
    )
    assert same(one, other)


def test_a_sample_that_cannot_be_read_is_named(points):
    for workers in (0, 2):
        train = attrs.evolve(points.PLAIN.train, workers=workers)
        recipe = attrs.evolve(points.PLAIN, data=points.Points(unreadable=7), train=train)
        made = points.updater(recipe)
        with pytest.raises(DataError, match="point7: cannot be read: KeyError: 'no such file'"):
            any(made.update(step).stop for step in range(made.batches.per_epoch))
        made.backward.close()


def test_steps_are_read_once_in_order_and_at_most_two_ahead():
    read, gate = [], threading.Event()

    def step_of(step):
        read.append(step)
        if step == 1:
            gate.wait(10)
        return step

    prefetcher = Prefetcher(step_of, last=5, ahead=2)
    assert prefetcher.get(0) == 0
    time.sleep(0.05)
    assert read == [0, 1]  # the third is not begun while the second is read
    gate.set()
    assert [prefetcher.get(step) for step in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert read == [0, 1, 2, 3, 4]  # none after the last
    assert prefetcher.get(2) == 2  # as after a resume
    prefetcher.close()
    assert not threads("read-ahead")


def test_an_error_belongs_to_its_step():
    def read(step):
        if step == 2:
            raise DataError("step 2")
        return step

    prefetcher = Prefetcher(read, last=9, ahead=2)
    assert [prefetcher.get(0), prefetcher.get(1)] == [0, 1]
    with pytest.raises(DataError, match="step 2"):
        prefetcher.get(2)
    assert prefetcher.get(3) == 3
    prefetcher.close()


def test_reading_ahead_leaves_the_number_of_threads_alone():
    before = torch.get_num_threads()
    seen = []
    prefetcher = Prefetcher(lambda step: seen.append(torch.get_num_threads()), last=2, ahead=1)
    prefetcher.get(0)
    prefetcher.close()
    assert (torch.get_num_threads(), seen[0]) == (before, 1)


SLOW = """
import _thread, threading, time, sys, torch
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.training.batching.prefetch import Prefetcher
pool = DecoderPool(3)
def read(step):
    return pool.map(lambda item: time.sleep(0.2) or item, range(12))
prefetcher = Prefetcher(read, last=1000)
threading.Timer(1, _thread.interrupt_main).start()
try:
    for step in range(1000):
        prefetcher.get(step)
finally:
    if "close" in sys.argv:
        prefetcher.close()
"""


@pytest.mark.parametrize("argument", ["close", "leave"])
def test_an_interrupted_process_ends(argument):
    ended = subprocess.run(
        [sys.executable, "-c", SLOW, argument], timeout=60, capture_output=True, check=False
    )
    assert b"KeyboardInterrupt" in ended.stderr
    assert ended.returncode != 0


def test_a_pool_keeps_order_and_raises_the_first_error():
    pool = DecoderPool(3)
    assert pool.map(lambda item: item * 2, range(50)) == [2 * item for item in range(50)]
    with pytest.raises(ZeroDivisionError):
        pool.map(lambda item: 1 // (item - 20), range(50))
    assert pool.map(abs, []) == []
    assert threads("decoder")
    del pool
    gc.collect()  # the error above refers to its frames
    deadline = time.monotonic() + 10
    while threads("decoder") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not threads("decoder")
