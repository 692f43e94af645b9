"""Each weighting does what TorchJD's own class does, on gradients of every kind."""

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
from torchjd.linalg import QuadprogProjector

from mtlkit.plugins import LossTerm, Role, TaskKind
from mtlkit.weightings import JacobianWeighting, StepInfo, UpdateStats

TASKS, ELEMENTS = 5, 40
NAMES = [f"task{place}" for place in range(TASKS)]
TERMS = tuple(
    LossTerm(name, name, Role.SIDE if place else Role.MAIN, TaskKind.REGRESSION)
    for place, name in enumerate(NAMES)
)
PREFERENCES = {"task1": 3.0, "task4": 0.25}
VECTOR = torch.tensor([1.0, 3.0, 1.0, 1.0, 0.25], dtype=torch.float64)
SEEDS = range(6)
FEW = range(2)  # where an equation without a solution is searched for one

SCHEMES = {
    "upgrad": UpGrad(),
    "upgrad with preferences": UpGrad(preferences=PREFERENCES, ridge=1e-6),
    "dual-proj": DualProj(),
    "pcd": Pcd(),
    "pcd without a floor": Pcd(share=0.5, decay=0.0, floor=0.0),
    "krum": Krum(),
    "multi-krum": Krum(suspects=0, chosen=3),
    "config": ConFig(),
    "config with preferences": ConFig(preferences=PREFERENCES),
    "graddrop": GradDrop(),
    "graddrop with leaks": GradDrop(steepness=3.0, leak={"task2": 0.5}),
    "trimmed-mean": TrimmedMean(),
    "median": TrimmedMean(trim=2),
}


def rows(kind, seed):
    """Five gradients (T, P) of one kind, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    found = normal(TASKS, ELEMENTS)
    match kind:
        case "conflicting":
            found = found - 1.5 * found.roll(1, 0)
        case "of rank 2":
            found = normal(TASKS, 2) @ normal(2, ELEMENTS)
        case "of rank 1":
            found = normal(TASKS, 1) @ normal(1, ELEMENTS)
        case "opposite":
            found[1], found[3] = -found[0], -found[2]
        case "equal":
            found = found[:1].expand(TASKS, ELEMENTS).clone()
        case "with a zero row":
            found[2] = 0
        case "zero":
            found = torch.zeros_like(found)
        case "long and short":
            found = found * torch.logspace(-3, 3, TASKS, dtype=found.dtype).unsqueeze(1)
        case "very short":
            found = found * 1e-12
        case "very long":
            found = found * 1e12
    return found


REGULAR = ("random", "conflicting", "long and short", "very short", "very long")
DEGENERATE = ("of rank 2", "of rank 1", "opposite", "equal", "with a zero row", "zero")
PLACES = torch.arange(TASKS)


def stats(step=None, indices=PLACES):
    return UpdateStats(torch.ones(len(indices)), indices, step or StepInfo(seed=11))


def built(config, terms=TERMS):
    return config.build(terms, ELEMENTS)


def direction_of(weighting, jacobian, seen=None):
    """The direction (P,) of either kind, and what is logged (K,)."""
    seen = seen or stats()
    if isinstance(weighting, JacobianWeighting):
        found = weighting(jacobian, seen)
        return found.direction, found.weights
    exact = jacobian.double()
    weights = weighting(exact @ exact.T, seen)
    return weights.to(jacobian) @ jacobian, weights


def same(found, expected, tolerance=1e-7):
    largest = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * largest)


@pytest.fixture(params=SCHEMES)
def scheme(request):
    return SCHEMES[request.param]


@pytest.mark.parametrize("kind", REGULAR + DEGENERATE)
class TestTheSameNumbers:
    """As TorchJD's aggregators, whose thresholds for zero are lifted where they have one."""

    @pytest.mark.parametrize("ridge", [1e-4, 1e-6])
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [(UpGrad(), aggregation.UPGradWeighting), (DualProj(), aggregation.DualProjWeighting)],
        ids=["upgrad", "dual-proj"],
    )
    def test_onto_the_dual_cone(self, kind, ours, theirs, ridge):
        for seed in SEEDS:
            jacobian = rows(kind, seed)
            gramian = jacobian @ jacobian.T
            projector = QuadprogProjector(norm_eps=0.0, reg_eps=ridge)
            for preferences, vector in (({}, None), (PREFERENCES, VECTOR / VECTOR.sum())):
                config = attrs.evolve(ours, ridge=ridge, preferences=preferences)
                weights = built(config)(gramian, stats())
                if kind != "zero":  # for which TorchJD divides 0 by 0 without its threshold
                    same(weights, theirs(vector, projector)(gramian), 1e-9)
                assert (weights > 0).all()

    def test_pcd(self, kind):
        for seed in SEEDS:
            for config in (Pcd(), Pcd(share=0.3, decay=0.5), Pcd(share=0.9, decay=0.0, floor=1e-3)):
                ours = built(config)
                theirs = aggregation.PCDWeighting(config.share, config.decay, config.floor)
                for update in range(3):
                    gramian = rows(kind, seed + 100 * update)
                    gramian = gramian @ gramian.T
                    # running lengths are kept in float32
                    same(ours(gramian, stats()), theirs(gramian), 1e-4)

    def test_krum(self, kind):
        for seed in SEEDS:
            jacobian = rows(kind, seed)
            gramian = jacobian @ jacobian.T
            gramian = (gramian + gramian.T) / 2
            moving = gramian.diagonal() > 0
            if not moving.any():
                continue
            for suspects, chosen in ((0, 1), (1, 1), (1, 3)):
                found = built(Krum(suspects=suspects, chosen=chosen))(gramian, stats())
                theirs = aggregation.KrumWeighting(suspects, chosen)(gramian[moving][:, moving])
                assert found[moving].equal(theirs)
                assert (found[~moving] == 0).all()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_config(self, kind, dtype):
        for seed in SEEDS:
            jacobian = rows(kind, seed).to(dtype)
            for preferences, vector in (({}, None), (PREFERENCES, VECTOR.to(dtype))):
                found, _ = direction_of(built(ConFig(preferences=preferences)), jacobian)
                theirs = aggregation.ConFIG(vector)(jacobian)
                same(found, theirs, 1e-4 if dtype is torch.float32 else 1e-9)

    def test_graddrop(self, kind):
        leak = torch.tensor([0.0, 0.0, 0.5, 0.0, 1.0])
        pairs = (
            (GradDrop(), aggregation.GradDrop()),
            (GradDrop(leak={"task2": 0.5, "task4": 1.0}), aggregation.GradDrop(leak=leak)),
            (GradDrop(steepness=0.0), aggregation.GradDrop(lambda purity: 0 * purity + 0.5)),
            (GradDrop(steepness=1e9), aggregation.GradDrop(lambda purity: (purity - 0.5) * 1e9)),
        )
        for seed in SEEDS:
            jacobian = rows(kind, seed).float()
            for config, theirs in pairs:
                found, _ = direction_of(built(config), jacobian, stats(StepInfo(seed=seed)))
                torch.manual_seed(seed)
                same(found, theirs(jacobian))

    def test_trimmed_mean(self, kind):
        for seed in SEEDS:
            jacobian = rows(kind, seed).float()
            for trim in (0, 1, 2):
                found, _ = direction_of(built(TrimmedMean(trim=trim)), jacobian)
                assert found.equal(aggregation.TrimmedMean(trim)(jacobian))


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_config_of_gradients_whose_squares_are_beyond_float32(factor):
    for seed in SEEDS:
        jacobian = (rows("conflicting", seed) * factor).float()
        found, _ = direction_of(built(ConFig()), jacobian)
        same(found.double(), aggregation.ConFIG()(jacobian.double()), 1e-4)
        jacobian[1] *= 1e-20  # so short beside the others that it counts as zero
        found, _ = direction_of(built(ConFig()), jacobian)
        jacobian[1] = 0
        same(found.double(), aggregation.ConFIG()(jacobian.double()), 1e-4)


def test_without_thresholds_in_reach_the_aggregators_are_torchjds_own():
    jacobian = rows("conflicting", 0)
    for name, theirs in {
        "upgrad": aggregation.UPGrad(),
        "dual-proj": aggregation.DualProj(),
        "pcd": aggregation.PCD(),
        "krum": aggregation.Krum(1),
    }.items():
        found, _ = direction_of(built(SCHEMES[name]), jacobian)
        same(found, theirs(jacobian), 1e-5)


class TestOnGradientsOfEveryKind:
    """What holds of all of them, in float32 as in training."""

    @pytest.mark.parametrize("kind", REGULAR + DEGENERATE)
    def test_all_is_finite(self, scheme, kind):
        for seed in FEW:
            direction, weights = direction_of(built(scheme), rows(kind, seed).float())
            assert direction.isfinite().all()
            assert weights.isfinite().all()

    def test_a_gradient_of_zero_stops_nothing_and_has_no_say(self, scheme):
        for seed in SEEDS:
            jacobian = rows("with a zero row", seed).float()
            direction, _ = direction_of(built(scheme), jacobian)
            assert direction.norm() > 1e-3 * jacobian.norm()

    def test_where_all_gradients_are_zero_nothing_moves(self, scheme):
        direction, _ = direction_of(built(scheme), rows("zero", 0).float())
        assert (direction == 0).all()

    @pytest.mark.parametrize("factor", [1e-8, 1e8])
    def test_longer_gradients_point_the_same_way(self, scheme, factor):
        if isinstance(scheme, Pcd):  # its floor is an absolute length
            scheme = attrs.evolve(scheme, floor=0.0)
        for seed in SEEDS:
            jacobian = rows("conflicting", seed).float()
            (one, _), (other, _) = (
                direction_of(built(scheme), each) for each in (jacobian, factor * jacobian)
            )
            assert torch.cosine_similarity(one.double(), other.double(), dim=0) > 1 - 1e-6

    def test_a_nan_is_not_hidden(self, scheme):
        if not isinstance(built(scheme), JacobianWeighting):
            return  # the training step shows no NaN to weightings of Gramians
        jacobian = rows("random", 0).float()
        jacobian[3, 5] = torch.nan
        direction, _ = direction_of(built(scheme), jacobian)
        assert direction.isnan().any()


@pytest.mark.parametrize("scheme", [UpGrad(ridge=1e-6), DualProj(ridge=1e-6), ConFig()], ids=repr)
def test_no_loss_rises_along_a_direction_free_of_conflict(scheme):
    for seed in SEEDS:
        for kind in ("random", "conflicting"):
            jacobian = rows(kind, seed)
            direction, _ = direction_of(built(scheme), jacobian)
            progress = jacobian @ direction / jacobian.norm(dim=1) / direction.norm()
            assert progress.min() > -1e-4


def test_what_a_direction_logs_are_weights_where_gradients_are_orthogonal():
    jacobian = torch.eye(TASKS, ELEMENTS) * torch.arange(1.0, TASKS + 1).unsqueeze(1)
    direction, weights = direction_of(built(ConFig()), jacobian)
    torch.testing.assert_close(weights @ jacobian, direction)
