"""What training adds to TorchJD: names, roles, missing labels, seeds and missing packages."""

import sys

import attrs
import pytest
import torch
from mtlkit_torchjd.conflict_free import ConFIG
from mtlkit_torchjd.dual_proj import DualProj
from mtlkit_torchjd.graddrop import GradDrop
from mtlkit_torchjd.krum import Krum
from mtlkit_torchjd.pcd import PCD
from mtlkit_torchjd.trimmed_mean import TrimmedMean
from mtlkit_torchjd.upgrad import UPGrad
from torchjd import aggregation

from mtlkit import load_catalog
from mtlkit.plugins import LoadFailedError, LossTerm, Role
from mtlkit.weightings import GradientLocation, HeadGradients, StepInfo, UpdateStats
from mtlkit.weightings.base import pairing_problems

ALL = (UPGrad, DualProj, PCD, Krum, ConFIG, GradDrop, TrimmedMean)


def terms_of(roles):
    """Return a loss for each letter: M of a main task, s of a side task."""
    roles = [Role.MAIN if letter == "M" else Role.SIDE for letter in roles]
    return tuple(LossTerm(f"t{i}", f"t{i}", role) for i, role in enumerate(roles))


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def stats(*indices, step=None):
    return UpdateStats(torch.ones(len(indices)), torch.tensor(indices), step or StepInfo(seed=3))


def gramian_of(jacobian):
    return jacobian @ jacobian.T


@pytest.mark.parametrize(
    ("weighting", "roles", "path", "words"),
    [
        (PCD(), "sss", "weighting", "PCD needs a main task, and t0, t1, t2 are all side tasks"),
        (PCD(), "MM", "weighting", "PCD needs a side task, and t0, t1 are all main tasks"),
        (UPGrad(preferences={"t9": 1.0}), "Ms", "weighting.preferences.t9", "named 't9'; the"),
        (DualProj(preferences={"t9": 1.0}), "Ms", "weighting.preferences.t9", "are t0, t1"),
        (ConFIG(preferences={"t9": 1.0}), "Ms", "weighting.preferences.t9", "no loss is named"),
        (GradDrop(leak={"t9": 1.0}), "Ms", "weighting.leak.t9", "no loss is named 't9'"),
        (Krum(), "Mss", "weighting.suspects", "got 3 losses, expected at least 4 for Krum"),
        (Krum(suspects=0, chosen=4), "Mss", "weighting.chosen", "expected at least 4 for Krum"),
        (TrimmedMean(), "Ms", "weighting.trim", "got 2 losses, expected at least 3 for"),
        (ConFIG(heads=HeadGradients.WEIGHTED), "Ms", "weighting.heads", "use `heads: unweighted`"),
        (GradDrop(heads=HeadGradients.WEIGHTED), "Ms", "weighting.heads", "GradDrop computes a"),
        (ConFIG(at=GradientLocation.LAST_SHARED_LAYER), "Ms", "weighting.at", "`at: parameters`"),
        (UPGrad(), "M", "weighting", "expected at least 2 losses for UPGrad"),
    ],
)  # fmt: skip
def test_unsuitable_terms_are_refused_when_a_recipe_is_read(weighting, roles, path, words):
    (problem,) = pairing_problems(weighting, terms_of(roles), shared_features=True)
    assert ".".join(problem.path) == path
    assert words in problem.message


@pytest.mark.parametrize("component", ALL)
def test_the_defaults_serve_a_main_and_three_side_tasks(component):
    assert not list(pairing_problems(component(), terms_of("Msss"), shared_features=True))


@pytest.mark.parametrize(
    ("component", "option", "value", "words"),
    [
        (UPGrad, "ridge", 1e-9, "a number of at least 1e-06, got 1e-09"),
        (UPGrad, "preferences", {"a": 0.0}, "a number above 0, got 0.0"),
        (PCD, "share", 1.5, "a number from 0 to 1, got 1.5"),
        (PCD, "decay", 1.0, "a number from 0 to below 1, got 1.0"),
        (PCD, "floor", -1.0, "a number of at least 0, got -1.0"),
        (Krum, "suspects", -1, "a whole number of at least 0, got -1"),
        (Krum, "chosen", 0, "a whole number of at least 1, got 0"),
        (GradDrop, "steepness", -1.0, "a number of at least 0, got -1.0"),
        (GradDrop, "leak", {"a": 1.5}, "a number from 0 to 1, got 1.5"),
        (TrimmedMean, "trim", -1, "a whole number of at least 0, got -1"),
    ],
)
def test_options_are_checked(component, option, value, words):
    with pytest.raises(ValueError, match=f"{option}: expected {words}"):
        component(**{option: value})


@pytest.mark.parametrize("package", ["torchjd", "quadprog"])
def test_a_missing_package_names_the_command_that_installs_it(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    words = f"{package} not installed; run `pip install 'mtlkit-torchjd'`"
    with pytest.raises(LoadFailedError, match=words):
        load_catalog("torchjd").weightings.get("torchjd/krum")


class TestMissingLabels:
    """A weighting reads the losses with a label only, by their indices."""

    @pytest.mark.parametrize(
        "weighting",
        [
            UPGrad(preferences={"t1": 9.0, "t3": 3.0}),
            DualProj(preferences={"t1": 9.0, "t3": 3.0}),
            ConFIG(preferences={"t1": 9.0, "t3": 3.0}),
            GradDrop(leak={"t1": 1.0, "t3": 0.5}),
        ],
        ids=lambda weighting: type(weighting).__name__,
    )
    def test_options_by_name_apply_to_their_task(self, weighting):
        jacobian = normal(2, 20)
        leaky = isinstance(weighting, GradDrop)
        options = {"leak": {"t1": 0.5}} if leaky else {"preferences": {"t1": 3.0}}
        alone = attrs.evolve(weighting, **options)
        gradients = jacobian if weighting.returns_direction else gramian_of(jacobian)
        one = weighting.build(terms_of("Msss"), 1)(gradients, stats(0, 3))
        other = alone.build(terms_of("Ms"), 1)(gradients, stats(0, 1))
        if weighting.returns_direction:
            one, other = one.direction, other.direction
        torch.testing.assert_close(one, other)

    @pytest.mark.parametrize("component", ALL)
    def test_any_number_of_tasks_is_weighed(self, component):
        weighting = component().build(terms_of("Msss"), 1)
        for indices in ((0, 1, 2, 3), (0, 2, 3), (0, 3), (0,), (0, 1, 2, 3)):
            jacobian = normal(len(indices), 20)
            if component.returns_direction:
                direction = weighting(jacobian, stats(*indices)).direction
            else:
                direction = weighting(gramian_of(jacobian), stats(*indices)) @ jacobian
            assert direction.norm() > 0.05

    def test_krum_suspects_fewer(self):
        weighting = Krum(suspects=2, chosen=4).build(terms_of("Msssss"), 1)
        gramian = gramian_of(normal(4, 20))
        assert weighting(gramian, stats(0, 1, 2, 5)).tolist() == [0.25] * 4
        one = Krum(suspects=2).build(terms_of("Msssss"), 1)(gramian, stats(0, 1, 2, 5))
        assert one.equal(aggregation.KrumWeighting(1)(gramian))
        assert weighting(gramian_of(normal(2, 20)), stats(0, 4)).tolist() == [0.5, 0.5]

    def test_the_trimmed_mean_trims_fewer(self):
        weighting = TrimmedMean(trim=2).build(terms_of("Mssss"), 1)
        jacobian = torch.tensor([[1.0], [2.0], [3.0], [50.0]])
        assert weighting(jacobian, stats(0, 1, 2, 3)).direction.item() == 2.5
        assert weighting(jacobian[:2], stats(0, 1)).direction.item() == 1.5


class TestMainTasks:
    """The main objective of PCD is the sum over the losses of main tasks."""

    def test_it_may_have_any_index(self):
        jacobian = normal(4, 20)
        order = [2, 0, 1, 3]
        first = PCD(share=0.4).build(terms_of("Msss"), 1)(gramian_of(jacobian), stats(0, 1, 2, 3))
        moved = jacobian[order]  # now the main gradient is the second
        weights = PCD(share=0.4).build(terms_of("sMss"), 1)(gramian_of(moved), stats(0, 1, 2, 3))
        torch.testing.assert_close(weights, first[order])

    def test_several_are_one_objective(self):
        jacobian = normal(4, 20)
        weights = PCD(share=0.4).build(terms_of("MsMs"), 1)(gramian_of(jacobian), stats(0, 1, 2, 3))
        merged = torch.stack([jacobian[0] + jacobian[2], jacobian[1], jacobian[3]])
        expected = aggregation.PCD(tau=0.4)(merged)
        torch.testing.assert_close(weights @ jacobian, expected)
        assert weights[0] == weights[2]

    def test_side_tasks_get_their_share_and_the_main_task_sets_the_norm(self):
        for seed in range(20):
            jacobian = normal(4, 20, seed=seed)
            weighting = PCD(share=0.3, decay=0.0, floor=0.0).build(terms_of("Msss"), 1)
            weights = weighting(gramian_of(jacobian), stats(0, 1, 2, 3))
            direction = weights @ jacobian
            assert direction.norm().item() == pytest.approx(jacobian[0].norm().item())
            scale = weights[0] * jacobian[0].norm()  # of the direction before it is scaled
            units = jacobian / jacobian.norm(dim=1, keepdim=True)
            assert (units[1:] @ direction / scale).min() > 0.3 - 1e-4

    def test_without_a_label_of_a_main_task_nothing_moves_and_no_state_changes(self):
        weighting = PCD().build(terms_of("Mss"), 1)
        weighting(gramian_of(normal(3, 20)), stats(0, 1, 2))
        before = {name: value.clone() for name, value in weighting.state_dict().items()}
        assert weighting(gramian_of(normal(2, 20)), stats(1, 2)).tolist() == [0, 0]
        assert all(value.equal(before[name]) for name, value in weighting.state_dict().items())

    def test_a_running_norm_is_updated_by_labels_only(self):
        weighting = PCD(decay=0.5).build(terms_of("Mss"), 1)
        one, two, three = (
            torch.diag(torch.tensor([n, 4.0 * n, 9.0 * n]).double()) for n in (1, 2, 3)
        )
        weighting(one[:2, :2], stats(0, 1))
        assert weighting.norms.tolist() == pytest.approx([1, 2, 0])
        weighting(two[[0, 2]][:, [0, 2]], stats(0, 2))  # means of 1 and 2, of which 2 counts twice
        expected = [(5 / 3) ** 0.5, 2, 18**0.5]
        assert weighting.norms.tolist() == pytest.approx(expected)
        weighting(three, stats(0, 1, 2))
        squares = [(1 + 2 * 2 + 4 * 3) / 7, (4 * 3 + 4 * 12) / 7, (18 * 3 + 4 * 27) / 7]
        assert weighting.norms.square().tolist() == pytest.approx(squares)
        assert weighting.updates.tolist() == [3, 2, 2]

    def test_its_state_can_be_loaded(self):
        weighting, fresh = (PCD().build(terms_of("Mss"), 1) for _ in range(2))
        for seed in range(3):
            weighting(gramian_of(normal(3, 20, seed=seed)), stats(0, 1, 2))
        fresh.load_state_dict(weighting.state_dict())
        last = gramian_of(normal(3, 20, seed=9))
        assert fresh(last, stats(0, 1, 2)).equal(weighting(last, stats(0, 1, 2)))


class TestRandomness:
    """GradDrop draws from the seed of the step, and torch's default generator is untouched."""

    jacobian = normal(4, 500).float()

    def drawn(self, step):
        weighting = GradDrop().build(terms_of("Msss"), 1)
        return weighting(self.jacobian, stats(0, 1, 2, 3, step=step)).direction

    def test_it_does_not_depend_on_torchs_default_generator(self):
        torch.manual_seed(1)
        one = self.drawn(StepInfo(seed=5))
        torch.manual_seed(2)
        assert one.equal(self.drawn(StepInfo(seed=5)))
        assert not one.equal(self.drawn(StepInfo(seed=6)))

    def test_torchs_default_generator_is_restored(self):
        torch.manual_seed(1)
        expected = torch.rand(3)
        torch.manual_seed(1)
        self.drawn(StepInfo(seed=5))
        assert torch.rand(3).equal(expected)

    def test_the_purity_is_the_probability_of_a_positive_sign(self):
        jacobian = torch.tensor([[3.0], [-1.0]]).expand(2, 20_000)
        weighting = GradDrop().build(terms_of("Ms"), 1)
        direction = weighting(jacobian, stats(0, 1)).direction
        assert set(direction.tolist()) == {3.0, -1.0}
        assert (direction > 0).float().mean().item() == pytest.approx(0.75, abs=0.02)

    def test_a_large_steepness_gives_the_sign_of_the_sum(self):
        weighting = GradDrop(steepness=1e9).build(terms_of("Msss"), 1)
        direction = weighting(self.jacobian, stats(0, 1, 2, 3)).direction
        assert direction.sign().equal(self.jacobian.sum(dim=0).sign())
