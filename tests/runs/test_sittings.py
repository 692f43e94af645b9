"""What a run of several sittings or processes keeps: facts, weights, and what each may read."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import torch

from mtlkit.backbones import MLP
from mtlkit.errors import AssemblyError, NotFiniteError
from mtlkit.runs import execution
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.storage.folder import RunFolder
from mtlkit.runs.storage.plugin_agreement import differences
from mtlkit.training import throughput
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.update import Updater

HERE = Path(__file__).parent


@pytest.fixture
def start(points, tmp_path):
    def run(recipe=points.PLAIN):
        return fit(recipe, tmp_path / "run", catalog=points.catalog(), quiet=True)

    return run


ACME = """
    import attrs
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.weightings import Weighting

    @attrs.frozen(kw_only=True)
    class Halves(Weighting):
        def build(self, terms, features):
            from mtlkit.weightings.fixed import FixedWeights

            return FixedWeights([0.5] * len(terms))

    @hookimpl
    def mtlkit_register(catalog):
        catalog.weightings.add("acme/halves", Halves, "halve it")
"""


def test_two_ranks_with_a_plugin(tmp_path, distribution):
    """A plugin is there in every process of torchrun, and a difference is told to all of them."""
    distribution("acme", ACME)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(HERE / "two_ranks_fit.py"), str(tmp_path),
    ]  # fmt: skip
    path = os.pathsep.join([str(HERE.parent / "training"), str(tmp_path / "site-packages")])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    one, other = (ast.literal_eval((tmp_path / f"metrics.{rank}").read_text()) for rank in (0, 1))
    assert one
    assert one == other
    told = [(tmp_path / f"told.{rank}").read_text() for rank in (0, 1)]
    assert (
        told[0]
        == told[1]
        == (
            "the processes have different components: rank 1 alone has weighting later/even = "
            "mtlkit.weightings.equal:Equal (mtlkit-later 2.0). Install the same plugins in the "
            "same versions on every machine (`mtlkit plugins` lists them)"
        )
    )
    assert not (tmp_path / "refused").exists()


def test_many_differences_are_counted():
    first = ["head a (acme 1.0)", *(f"head {n}" for n in range(12))]
    found = differences([first, ["head a (acme 2.0)"], first])
    assert found[0] == "rank 1 lacks head a (acme 1.0)"
    assert found[-1] == "rank 1 alone has head a (acme 2.0)"
    assert len(found) == 14
    assert differences([first, first]) == []


def test_a_resume_needs_no_pretrained_weights(start, points, monkeypatch):
    run = start()
    before, build = run.model.read_bytes(), MLP.build
    run.model.unlink()  # a whole run would be returned unchanged
    blanks = []

    def blank(self):
        blanks.append(attrs.evolve(self))
        return blanks[-1]

    def build_blank(self, inputs):
        if not any(self is one for one in blanks):
            raise AssemblyError("the file of pretrained weights is gone")
        return build(self, inputs)

    monkeypatch.setattr(MLP, "blank", blank)
    monkeypatch.setattr(MLP, "build", build_blank)
    assert resume(run.path, catalog=points.catalog(), quiet=True).model.read_bytes() == before
    assert blanks


def test_a_run_without_a_checkpoint_does_begin_from_pretrained_weights(start, monkeypatch):
    monkeypatch.setattr(MLP, "blank", lambda self: pytest.fail("the weights were left out"))
    monkeypatch.setattr(execution, "evaluate_trained", lambda *_: None)
    start()


def test_what_a_sitting_found_is_kept_by_the_next(start, points, monkeypatch):
    plain = execution.assemble

    def with_idle(*parts):
        model = plain(*parts)
        model.register_parameter("idle", torch.nn.Parameter(torch.zeros(2)))
        return model

    monkeypatch.setattr(execution, "assemble", with_idle)
    with monkeypatch.context() as patch:
        patch.setattr(throughput, "peak_memory", lambda _: 2**60)
        folder = RunFolder(start().path)
    assert folder.status().untrained == ("model.idle",)
    folder.model.unlink()
    resume(folder.path, catalog=points.catalog(), quiet=True)  # makes no update of its own
    status = folder.status()
    assert status.untrained == ("model.idle",)
    assert status.peak_memory_bytes == 2**60


def test_a_broken_optimiser_is_never_saved(start, points, tmp_path, monkeypatch):
    plain = Updater.update

    def update(self, step, stop_request):
        made = plain(self, step, stop_request)
        if step == 2:
            state = next(iter(self.optimizer.state.values()))
            state["momentum_buffer"].fill_(torch.inf)  # the weights are still fine
        return made

    monkeypatch.setattr(Updater, "update", update)
    train = attrs.evolve(points.PLAIN.train, checkpoint_every=1)
    with pytest.raises(NotFiniteError, match=r"step 3 broke .* optimizer\.model\..*mom"):
        start(attrs.evolve(points.PLAIN, train=train))
    assert saved_steps(tmp_path / "run" / "checkpoints") == [1, 2]
