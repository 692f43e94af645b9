"""Each weighting agrees with TorchJD's class, on gradients of every kind."""

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
from torchjd.linalg import QuadprogProjector

from mtlkit.plugins import LossTerm, Role
from mtlkit.weightings import JacobianWeighting, StepInfo, UpdateStats

TASKS, ELEMENTS = 5, 40
NAMES = [f"task{index}" for index in range(TASKS)]
TERMS = tuple(
    LossTerm(name, name, Role.SIDE if index else Role.MAIN) for index, name in enumerate(NAMES)
)
PREFERENCES = {"task1": 3.0, "task4": 0.25}
VECTOR = torch.tensor([1.0, 3.0, 1.0, 1.0, 0.25], dtype=torch.float64)
SEEDS = range(6)
FEW = range(2)  # for slow least-squares problems

DUAL_CONE = [UPGrad(ridge=1e-6), DualProj(ridge=1e-6)]
WEIGHTINGS = {
    "upgrad": UPGrad(),
    "upgrad with preferences": UPGrad(preferences=PREFERENCES, ridge=1e-6),
    "dual-proj": DualProj(),
    "pcd": PCD(),
    "pcd without a floor": PCD(share=0.5, decay=0.0, floor=0.0),
    "krum": Krum(),
    "multi-krum": Krum(suspects=0, chosen=3),
    "config": ConFIG(),
    "config with preferences": ConFIG(preferences=PREFERENCES),
    "graddrop": GradDrop(),
    "graddrop with leaks": GradDrop(steepness=3.0, leak={"task2": 0.5}),
    "trimmed-mean": TrimmedMean(),
    "median": TrimmedMean(trim=2),
}


def rows(kind, seed):
    """Return five gradients (T, P) of one kind, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    gradients = normal(TASKS, ELEMENTS)
    match kind:
        case "conflicting":
            gradients = gradients - 1.5 * gradients.roll(1, 0)
        case "of rank 2":
            gradients = normal(TASKS, 2) @ normal(2, ELEMENTS)
        case "of rank 1":
            gradients = normal(TASKS, 1) @ normal(1, ELEMENTS)
        case "opposite":
            gradients[1], gradients[3] = -gradients[0], -gradients[2]
        case "equal":
            gradients = gradients[:1].expand(TASKS, ELEMENTS).clone()
        case "with a zero row":
            gradients[2] = 0
        case "zero":
            gradients = torch.zeros_like(gradients)
        case "long and short":
            scales = torch.logspace(-3, 3, TASKS, dtype=gradients.dtype)
            gradients = gradients * scales.unsqueeze(1)
        case "very short":
            gradients = gradients * 1e-12
        case "very long":
            gradients = gradients * 1e12
    return gradients


REGULAR = ("random", "conflicting", "long and short", "very short", "very long")
DEGENERATE = ("of rank 2", "of rank 1", "opposite", "equal", "with a zero row", "zero")


def stats(step=None):
    return UpdateStats(torch.ones(TASKS), torch.arange(TASKS), step or StepInfo(seed=11))


def built(config, terms=TERMS):
    return config.build(terms, ELEMENTS)


def direction_of(weighting, jacobian, step=None):
    """Return the direction (P,) of either kind, and the logged weights (K,)."""
    if isinstance(weighting, JacobianWeighting):
        result = weighting(jacobian, stats(step))
        return result.direction, result.weights
    exact = jacobian.double()
    weights = weighting(exact @ exact.T, stats(step))
    return weights.to(jacobian) @ jacobian, weights


def assert_close(actual, expected, tolerance=1e-7):
    largest = expected.abs().max().item()
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance * largest)


@pytest.fixture(params=WEIGHTINGS)
def weighting(request):
    return WEIGHTINGS[request.param]


@pytest.mark.parametrize("kind", REGULAR + DEGENERATE)
class TestTheSameNumbers:
    """Agreement with TorchJD's aggregators without their thresholds for zero."""

    @pytest.mark.parametrize("ridge", [1e-4, 1e-6])
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [(UPGrad(), aggregation.UPGradWeighting), (DualProj(), aggregation.DualProjWeighting)],
        ids=["upgrad", "dual-proj"],
    )
    def test_dual_cone(self, kind, ours, theirs, ridge):
        for seed in SEEDS:
            jacobian = rows(kind, seed)
            gramian = jacobian @ jacobian.T
            projector = QuadprogProjector(norm_eps=0.0, reg_eps=ridge)
            for preferences, vector in (({}, None), (PREFERENCES, VECTOR / VECTOR.sum())):
                config = attrs.evolve(ours, ridge=ridge, preferences=preferences)
                weights = built(config)(gramian, stats())
                if kind != "zero":  # without its threshold TorchJD divides 0 by 0
                    assert_close(weights, theirs(vector, projector)(gramian), 1e-9)
                assert (weights > 0).all()

    def test_pcd(self, kind):
        for seed in SEEDS:
            for config in (PCD(), PCD(share=0.3, decay=0.5), PCD(share=0.9, decay=0.0, floor=1e-3)):
                ours = built(config)
                theirs = aggregation.PCDWeighting(config.share, config.decay, config.floor)
                for update in range(3):
                    gramian = rows(kind, seed + 100 * update)
                    gramian = gramian @ gramian.T
                    # running lengths are kept in float32
                    assert_close(ours(gramian, stats()), theirs(gramian), 1e-4)

    def test_krum(self, kind):
        for seed in SEEDS:
            jacobian = rows(kind, seed)
            gramian = jacobian @ jacobian.T
            gramian = (gramian + gramian.T) / 2
            moving = gramian.diagonal() > 0
            if not moving.any():
                continue
            for suspects, chosen in ((0, 1), (1, 1), (1, 3)):
                weights = built(Krum(suspects=suspects, chosen=chosen))(gramian, stats())
                theirs = aggregation.KrumWeighting(suspects, chosen)(gramian[moving][:, moving])
                assert weights[moving].equal(theirs)
                assert (weights[~moving] == 0).all()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_config(self, kind, dtype):
        for seed in SEEDS:
            jacobian = rows(kind, seed).to(dtype)
            for preferences, vector in (({}, None), (PREFERENCES, VECTOR.to(dtype))):
                direction, _ = direction_of(built(ConFIG(preferences=preferences)), jacobian)
                theirs = aggregation.ConFIG(vector)(jacobian)
                assert_close(direction, theirs, 1e-4 if dtype is torch.float32 else 1e-9)

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
                direction, _ = direction_of(built(config), jacobian, StepInfo(seed=seed))
                torch.manual_seed(seed)
                assert_close(direction, theirs(jacobian))

    def test_trimmed_mean(self, kind):
        for seed in SEEDS:
            jacobian = rows(kind, seed).float()
            for trim in (0, 1, 2):
                direction, _ = direction_of(built(TrimmedMean(trim=trim)), jacobian)
                assert direction.equal(aggregation.TrimmedMean(trim)(jacobian))


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_config_of_gradients_whose_squares_overflow_float32(factor):
    for seed in SEEDS:
        jacobian = (rows("conflicting", seed) * factor).float()
        direction, _ = direction_of(built(ConFIG()), jacobian)
        assert_close(direction.double(), aggregation.ConFIG()(jacobian.double()), 1e-4)
        jacobian[1] *= 1e-20  # so short relative to the others that it counts as zero
        direction, _ = direction_of(built(ConFIG()), jacobian)
        jacobian[1] = 0
        assert_close(direction.double(), aggregation.ConFIG()(jacobian.double()), 1e-4)


def test_above_the_thresholds_torchjds_aggregators_agree():
    jacobian = rows("conflicting", 0)
    for name, theirs in {
        "upgrad": aggregation.UPGrad(),
        "dual-proj": aggregation.DualProj(),
        "pcd": aggregation.PCD(),
        "krum": aggregation.Krum(1),
    }.items():
        direction, _ = direction_of(built(WEIGHTINGS[name]), jacobian)
        assert_close(direction, theirs(jacobian), 1e-5)


class TestOnGradientsOfEveryKind:
    """Properties of every weighting, in float32 as in training."""

    @pytest.mark.parametrize("kind", REGULAR + DEGENERATE)
    def test_all_is_finite(self, weighting, kind):
        for seed in FEW:
            direction, weights = direction_of(built(weighting), rows(kind, seed).float())
            assert direction.isfinite().all()
            assert weights.isfinite().all()

    def test_a_gradient_of_zero_does_not_stop_the_others(self, weighting):
        for seed in SEEDS:
            jacobian = rows("with a zero row", seed).float()
            direction, _ = direction_of(built(weighting), jacobian)
            assert direction.norm() > 1e-3 * jacobian.norm()

    def test_gradients_of_zero_give_a_direction_of_zero(self, weighting):
        direction, _ = direction_of(built(weighting), rows("zero", 0).float())
        assert (direction == 0).all()

    @pytest.mark.parametrize("factor", [1e-8, 1e8])
    def test_longer_gradients_point_the_same_way(self, weighting, factor):
        if isinstance(weighting, PCD):  # its floor is absolute
            weighting = attrs.evolve(weighting, floor=0.0)
        for seed in SEEDS:
            jacobian = rows("conflicting", seed).float()
            one, _ = direction_of(built(weighting), jacobian)
            other, _ = direction_of(built(weighting), factor * jacobian)
            assert torch.cosine_similarity(one.double(), other.double(), dim=0) > 1 - 1e-6

    def test_a_nan_is_not_hidden(self, weighting):
        if not isinstance(built(weighting), JacobianWeighting):
            return  # the training step checks Gramians for NaN
        jacobian = rows("random", 0).float()
        jacobian[3, 5] = torch.nan
        direction, _ = direction_of(built(weighting), jacobian)
        assert direction.isnan().any()


@pytest.mark.parametrize("weighting", [*DUAL_CONE, ConFIG()], ids=repr)
def test_no_loss_rises_along_a_direction_free_of_conflict(weighting):
    for seed in SEEDS:
        for kind in ("random", "conflicting"):
            jacobian = rows(kind, seed)
            direction, _ = direction_of(built(weighting), jacobian)
            progress = jacobian @ direction / jacobian.norm(dim=1) / direction.norm()
            assert progress.min() > -1e-4


def test_logged_weights_combine_orthogonal_gradients_to_the_direction():
    jacobian = torch.eye(TASKS, ELEMENTS) * torch.arange(1.0, TASKS + 1).unsqueeze(1)
    direction, weights = direction_of(built(ConFIG()), jacobian)
    torch.testing.assert_close(weights @ jacobian, direction)


@pytest.mark.parametrize("leak", [0.0, 0.3])
def test_graddrop_at_the_features_is_algorithm_1(leak):
    """One sign for each feature, by the batch sum of gradients times the features' signs."""
    module = GradDrop(leak=dict.fromkeys(NAMES, leak)).build(TERMS, 8)
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        gradients = torch.randn(TASKS, 6, 8, generator=generator)
        features = torch.randn(6, 8, generator=generator).relu()
        signed = (gradients * features.sign()).sum(dim=1)
        purity = 0.5 * (1 + signed.sum(dim=0) / (signed.abs().sum(dim=0) + 1e-12))
        drawn = torch.rand(8, generator=torch.Generator().manual_seed(seed))
        mask = (purity > drawn) * (signed > 0) + (purity < drawn) * (signed < 0)
        expected = ((leak + (1 - leak) * mask.unsqueeze(1)) * gradients).sum(dim=0)
        stats = UpdateStats(
            torch.ones(TASKS), torch.arange(TASKS), StepInfo(seed=seed), features.flatten()
        )
        direction = module(gradients.flatten(1), stats).direction
        torch.testing.assert_close(direction, expected.flatten())
