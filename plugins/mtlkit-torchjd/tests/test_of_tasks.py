"""What TorchJD does not know: names, roles, missing labels, moments, and what is not installed."""

import sys

import attrs
import pytest
import torch
from mtlkit_torchjd.configs import (
    ConFig,
    DualProj,
    GradDrop,
    Krum,
    Pcd,
    TrimmedMean,
    UpGrad,
)
from torchjd import aggregation

from mtlkit.plugins import LossTerm, MissingExtraError, Role, TaskKind
from mtlkit.weightings import GradientLocation, HeadGradients, UpdateStats, StepInfo
from mtlkit.weightings.base import pairing_problems

ALL = (UpGrad, DualProj, Pcd, Krum, ConFig, GradDrop, TrimmedMean)


def terms_of(roles):
    """A loss for each letter: M of a main task, s of a side task."""
    roles = [Role.MAIN if letter == "M" else Role.SIDE for letter in roles]
    return tuple(
        LossTerm(f"t{i}", f"t{i}", role, TaskKind.REGRESSION) for i, role in enumerate(roles)
    )


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def stats(*indices, step=None):
    return UpdateStats(torch.ones(len(indices)), torch.tensor(indices), step or StepInfo(seed=3))


def gramian_of(jacobian):
    return jacobian @ jacobian.T


@pytest.mark.parametrize(
    ("scheme", "roles", "path", "words"),
    [
        (Pcd(), "sss", "weighting", "main task first and found none among t0, t1, t2; give one"),
        (Pcd(), "MM", "weighting", "a share and found none among t0, t1; give one task"),
        (UpGrad(preferences={"t9": 1.0}), "Ms", "weighting.preferences.t9", "named 't9'; the"),
        (DualProj(preferences={"t9": 1.0}), "Ms", "weighting.preferences.t9", "are t0, t1"),
        (ConFig(preferences={"t9": 1.0}), "Ms", "weighting.preferences.t9", "no loss is named"),
        (GradDrop(leak={"t9": 1.0}), "Ms", "weighting.leak.t9", "no loss is named 't9'"),
        (Krum(), "Mss", "weighting.suspects", "`suspects: 1` needs 4 losses or more and found 3"),
        (Krum(suspects=0, chosen=4), "Mss", "weighting.chosen", "`chosen: 4` needs 4 losses"),
        (TrimmedMean(), "Ms", "weighting.trim", "`trim: 1` needs 3 losses or more and found 2"),
        (ConFig(heads=HeadGradients.WEIGHTED), "Ms", "weighting.heads", "use `heads: unweighted`"),
        (GradDrop(heads=HeadGradients.WEIGHTED), "Ms", "weighting.heads", "GradDrop gives a"),
        (ConFig(at=GradientLocation.LAST_SHARED_LAYER), "Ms", "weighting.at", "`at: parameters`"),
        (UpGrad(), "M", "weighting", "expected at least 2 losses for UpGrad"),
    ],
)  # fmt: skip
def test_what_cannot_be_weighed_is_refused_when_a_recipe_is_read(scheme, roles, path, words):
    found = list(pairing_problems(scheme, terms_of(roles), shared_features=True))
    assert len(found) == 1
    assert ".".join(found[0].path) == path
    assert words in found[0].message


@pytest.mark.parametrize("component", ALL)
def test_the_defaults_serve_a_main_and_three_side_tasks(component):
    assert not list(pairing_problems(component(), terms_of("Msss"), shared_features=True))


@pytest.mark.parametrize(
    ("component", "option", "value", "words"),
    [
        (UpGrad, "ridge", 1e-9, "a number of at least 1e-06, found 1e-09"),
        (UpGrad, "preferences", {"a": 0.0}, "a number above 0, found 0.0"),
        (Pcd, "share", 1.5, "a number from 0 to 1, found 1.5"),
        (Pcd, "decay", 1.0, "a number from 0 to below 1, found 1.0"),
        (Pcd, "floor", -1.0, "a number of at least 0, found -1.0"),
        (Krum, "suspects", -1, "a whole number of at least 0, found -1"),
        (Krum, "chosen", 0, "a whole number of at least 1, found 0"),
        (GradDrop, "steepness", -1.0, "a number of at least 0, found -1.0"),
        (GradDrop, "leak", {"a": 1.5}, "a number from 0 to 1, found 1.5"),
        (TrimmedMean, "trim", -1, "a whole number of at least 0, found -1"),
    ],
)
def test_options_are_checked(component, option, value, words):
    with pytest.raises(ValueError, match=f"{option}: expected {words}"):
        component(**{option: value})


@pytest.mark.parametrize("component", [UpGrad, DualProj])
def test_a_missing_solver_names_the_command_that_brings_it(component, monkeypatch):
    monkeypatch.setattr("torchjd._mixins.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"quadprog.*run `pip install 'mtlkit-torchjd'`"):
        component().build(terms_of("Ms"), 1)


@pytest.mark.parametrize("component", ALL)
def test_a_missing_torchjd_names_the_command_that_brings_it(component, monkeypatch):
    for name in list(sys.modules):
        if name.startswith("mtlkit_torchjd.") and ".configs" not in name:
            monkeypatch.delitem(sys.modules, name)
    for name in ("torchjd", "torchjd.aggregation", "torchjd.linalg"):
        monkeypatch.setitem(sys.modules, name, None)
    words = rf"weighting: {component.__name__} is computed by TorchJD.*'mtlkit-torchjd'"
    with pytest.raises(MissingExtraError, match=words):
        component().build(terms_of("Ms"), 1)


class TestMissingLabels:
    """Of the losses only those with a label are shown, at their own places."""

    @pytest.mark.parametrize(
        "scheme",
        [
            UpGrad(preferences={"t1": 9.0, "t3": 3.0}),
            DualProj(preferences={"t1": 9.0, "t3": 3.0}),
            ConFig(preferences={"t1": 9.0, "t3": 3.0}),
            GradDrop(leak={"t1": 1.0, "t3": 0.5}),
        ],
        ids=lambda scheme: type(scheme).__name__,
    )
    def test_options_by_name_stay_with_their_task(self, scheme):
        jacobian = normal(2, 20)
        gradual = {"preferences": {"t1": 3.0}} if not isinstance(scheme, GradDrop) else None
        alone = attrs.evolve(scheme, **(gradual or {"leak": {"t1": 0.5}}))
        seen = jacobian if scheme.returns_direction else gramian_of(jacobian)
        one = scheme.build(terms_of("Msss"), 1)(seen, stats(0, 3))
        other = alone.build(terms_of("Ms"), 1)(seen, stats(0, 1))
        if scheme.returns_direction:
            one, other = one.direction, other.direction
        torch.testing.assert_close(one, other)

    @pytest.mark.parametrize("component", ALL)
    def test_any_number_of_tasks_is_weighed(self, component):
        weighting = component().build(terms_of("Msss"), 1)
        for indices in ((0, 1, 2, 3), (0, 2, 3), (0, 3), (0,), (0, 1, 2, 3)):
            jacobian = normal(len(indices), 20)
            seen = jacobian if component.returns_direction else gramian_of(jacobian)
            found = weighting(seen, stats(*indices))
            direction = found.direction if component.returns_direction else found @ jacobian
            assert direction.norm() > 0.05

    def test_krum_suspects_fewer(self):
        weighting = Krum(suspects=2, chosen=4).build(terms_of("Msssss"), 1)
        gramian = gramian_of(normal(4, 20))
        found = weighting(gramian, stats(0, 1, 2, 5))
        assert found.tolist() == [0.25] * 4
        one = Krum(suspects=2).build(terms_of("Msssss"), 1)(gramian, stats(0, 1, 2, 5))
        assert one.equal(aggregation.KrumWeighting(1)(gramian))
        assert weighting(gramian_of(normal(2, 20)), stats(0, 4)).tolist() == [0.5, 0.5]

    def test_the_trimmed_mean_trims_fewer(self):
        weighting = TrimmedMean(trim=2).build(terms_of("Mssss"), 1)
        jacobian = torch.tensor([[1.0], [2.0], [3.0], [50.0]])
        assert weighting(jacobian, stats(0, 1, 2, 3)).direction.item() == 2.5
        assert weighting(jacobian[:2], stats(0, 1)).direction.item() == 1.5


class TestMainTasks:
    """The objective that PCD puts first is the sum over the losses of main tasks."""

    def test_it_stands_anywhere_among_the_tasks(self):
        jacobian = normal(4, 20)
        order = [2, 0, 1, 3]
        first = Pcd(share=0.4).build(terms_of("Msss"), 1)(gramian_of(jacobian), stats(0, 1, 2, 3))
        moved = jacobian[order]  # now the main gradient is the second
        found = Pcd(share=0.4).build(terms_of("sMss"), 1)(gramian_of(moved), stats(0, 1, 2, 3))
        torch.testing.assert_close(found, first[order])

    def test_several_are_one_objective(self):
        jacobian = normal(4, 20)
        found = Pcd(share=0.4).build(terms_of("MsMs"), 1)(gramian_of(jacobian), stats(0, 1, 2, 3))
        merged = torch.stack([jacobian[0] + jacobian[2], jacobian[1], jacobian[3]])
        expected = aggregation.PCD(tau=0.4)(merged)
        torch.testing.assert_close(found @ jacobian, expected)
        assert found[0] == found[2]

    def test_side_tasks_get_their_share_and_the_main_task_sets_the_length(self):
        for seed in range(20):
            jacobian = normal(4, 20, seed=seed)
            weighting = Pcd(share=0.3, decay=0.0, floor=0.0).build(terms_of("Msss"), 1)
            weights = weighting(gramian_of(jacobian), stats(0, 1, 2, 3))
            direction = weights @ jacobian
            assert direction.norm().item() == pytest.approx(jacobian[0].norm().item())
            scale = weights[0] * jacobian[0].norm()  # of the direction before it is stretched
            units = jacobian / jacobian.norm(dim=1, keepdim=True)
            assert (units[1:] @ direction / scale).min() > 0.3 - 1e-4

    def test_without_a_label_of_a_main_task_nothing_moves_and_nothing_is_learned(self):
        weighting = Pcd().build(terms_of("Mss"), 1)
        weighting(gramian_of(normal(3, 20)), stats(0, 1, 2))
        before = {name: value.clone() for name, value in weighting.state_dict().items()}
        assert weighting(gramian_of(normal(2, 20)), stats(1, 2)).tolist() == [0, 0]
        assert all(value.equal(before[name]) for name, value in weighting.state_dict().items())

    def test_a_running_length_waits_for_labels_and_begins_with_the_first(self):
        weighting = Pcd(decay=0.5).build(terms_of("Mss"), 1)
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

    def test_its_state_goes_into_a_fresh_one(self):
        weighting, fresh = (Pcd().build(terms_of("Mss"), 1) for _ in range(2))
        for seed in range(3):
            weighting(gramian_of(normal(3, 20, seed=seed)), stats(0, 1, 2))
        fresh.load_state_dict(weighting.state_dict())
        last = gramian_of(normal(3, 20, seed=9))
        assert fresh(last, stats(0, 1, 2)).equal(weighting(last, stats(0, 1, 2)))


class TestChance:
    """GradDrop's chance is that of the step, and nobody else's is touched."""

    jacobian = normal(4, 500).float()

    def drawn(self, step):
        weighting = GradDrop().build(terms_of("Msss"), 1)
        return weighting(self.jacobian, stats(0, 1, 2, 3, step=step)).direction

    def test_it_is_the_same_wherever_torchs_own_generator_is(self):
        torch.manual_seed(1)
        one = self.drawn(StepInfo(seed=5))
        torch.manual_seed(2)
        assert one.equal(self.drawn(StepInfo(seed=5)))
        assert not one.equal(self.drawn(StepInfo(seed=6)))

    def test_torchs_own_generator_goes_on_as_if_nothing_had_been_drawn(self):
        torch.manual_seed(1)
        expected = torch.rand(3)
        torch.manual_seed(1)
        self.drawn(StepInfo(seed=5))
        assert torch.rand(3).equal(expected)

    def test_a_sign_is_as_likely_as_it_is_pure(self):
        jacobian = torch.tensor([[3.0], [-1.0]]).expand(2, 20_000)
        weighting = GradDrop().build(terms_of("Ms"), 1)
        direction = weighting(jacobian, stats(0, 1)).direction
        assert set(direction.tolist()) == {3.0, -1.0}
        assert (direction > 0).float().mean().item() == pytest.approx(0.75, abs=0.02)

    def test_a_steep_chance_is_the_sign_of_the_sum(self):
        weighting = GradDrop(steepness=1e9).build(terms_of("Msss"), 1)
        direction = weighting(self.jacobian, stats(0, 1, 2, 3)).direction
        assert direction.sign().equal(self.jacobian.sum(dim=0).sign())
