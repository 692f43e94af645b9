"""Schemes on gradients: their properties, their formulas, and TorchJD as an independent witness."""

import importlib.util
from pathlib import Path

import pytest
import torch
import torchjd.aggregation as peer

from mtlkit.task_types import LossTerm, Role
from mtlkit.training.gradients.batch import UpdateInfo
from mtlkit.training.gradients.gradient_step import weigh
from mtlkit.training.gradients.gramian import gramian_of
from mtlkit.weightings import (
    CRMOGM,
    DBMTL,
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    ConicGrad,
    DoubleSampling,
    ExcessMTL,
    FairGrad,
    GradNorm,
    GradVac,
    GramianWeighting,
    JacobianWeighting,
    LookaheadWeighting,
    MoCo,
    MoDo,
    NashMTL,
    Normalization,
    PCGrad,
    SDMGrad,
    Singular,
    StatefulJacobian,
    StepInfo,
    UpdateStats,
)
from mtlkit.weightings.pcgrad import projection_order
from mtlkit.weightings.solvers.bargaining import bargain
from mtlkit.weightings.solvers.simplex import FEW, conflict_averse, min_norm, project

_spec = importlib.util.spec_from_file_location(
    "jacobians", Path(__file__).with_name("jacobians.py")
)
jacobians = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(jacobians)

MANY = 40


def terms_of(count):
    names = ("who", "side", "rare", "age", "more", "last", *(f"t{n}" for n in range(30)))
    return tuple(
        LossTerm(name, name, Role.SIDE if place else Role.MAIN, 3)
        for place, name in enumerate(names[:count])
    )


def stats_of(count, losses=None, step=0):
    losses = torch.linspace(0.5, 2.0, count) if losses is None else losses
    return UpdateStats(losses, torch.arange(count), StepInfo(number=step, seed=step))


def all_of(count):
    return UpdateInfo(torch.ones(count), torch.arange(count), complete=True)


def direction(scheme, jacobian, stats=None, terms=None):
    """What a fresh module of `scheme` makes of a Jacobian."""
    count = len(jacobian)
    module = scheme.build(terms or terms_of(count), 4)
    stats = stats_of(count) if stats is None else stats
    if isinstance(module, JacobianWeighting):
        if isinstance(module, StatefulJacobian):
            module.allocate(jacobian.shape[1])
        return module(jacobian.float(), stats).direction.double()
    return module(jacobian @ jacobian.T, stats) @ jacobian


def samples(kind, count=MANY, seed=0):
    return jacobians.of_kind(kind, count, torch.Generator().manual_seed(seed))


def assert_close(found, wanted, cosine=0.999, norm=0.01):
    """The same direction, and the same length."""
    if wanted.norm() < 1e-9:
        assert found.norm() < 1e-6
        return
    assert torch.cosine_similarity(found, wanted, dim=0) >= cosine
    assert found.norm().item() == pytest.approx(wanted.norm().item(), rel=norm)


BY_PLACE = ("Krum",)
"""Of several gradients that are as near to the others, the first is chosen."""

STOPPED = ("MGDA", "CRMOGM")
"""By definition: with a gradient of zero the shortest combination is zero."""

FIRST_AMONG = ("PCD",)
"""By definition stopped by a main gradient of zero, though by no other."""

MAY_STOP = ("EPO",)
"""By definition: if every other gradient leads away from the ray of preferences."""


class TestEveryScheme:
    @pytest.mark.parametrize("kind", jacobians.KINDS)
    def test_it_is_finite(self, gradient_scheme, kind):
        for jacobian in samples(kind, 10):
            found = direction(gradient_scheme, jacobian)
            assert found.shape == jacobian[0].shape
            assert found.isfinite().all()

    def test_the_order_of_the_tasks_does_not_matter(self, gradient_scheme):
        name = type(gradient_scheme).__name__
        if name in BY_PLACE:
            return
        # PCGrad and GradVac meet more than two tasks in a random order, by place
        count = 2 if name in ("PCGrad", "GradVac") else 4
        for jacobian in samples("random", 25):
            if len(jacobian) != count:
                continue
            order = torch.randperm(count)
            losses = torch.rand(count) + 0.5
            found = direction(gradient_scheme, jacobian, stats_of(count, losses))
            terms = tuple(terms_of(count)[place] for place in order)
            moved = stats_of(count, losses[order])
            other = direction(gradient_scheme, jacobian[order], moved, terms)
            assert_close(other, found, cosine=1 - 1e-6, norm=1e-4)

    def test_a_task_without_gradient_does_not_stop_the_others(self, gradient_scheme):
        for jacobian in samples("zero row", 20):
            if len(jacobian) < 3:
                continue
            found = direction(gradient_scheme, jacobian)
            if type(gradient_scheme).__name__ in STOPPED:
                assert found.norm() < 1e-6
            elif type(gradient_scheme).__name__ in MAY_STOP:
                module = gradient_scheme.build(terms_of(len(jacobian)), 4)
                largest = (module.preferences * stats_of(len(jacobian)).losses).argmax()
                assert jacobian[largest] @ found >= -1e-8 * jacobian.norm() ** 2
            elif type(gradient_scheme).__name__ not in FIRST_AMONG or jacobian[0].any():
                assert found.norm() > 1e-3

    def test_what_is_not_finite_gives_weights_that_are_not(self, gradient_scheme):
        module = gradient_scheme.build(terms_of(3), 4)
        if not isinstance(module, GramianWeighting):
            return
        gramian = torch.full((3, 3), torch.nan, dtype=torch.float64)
        assert weigh(module, gramian, stats_of(3).losses, all_of(3)).isnan().all()

    def test_an_absent_task_has_no_weight_and_leaves_the_others_theirs(self, gradient_scheme):
        module = gradient_scheme.build(terms_of(4), 4)
        if not isinstance(module, GramianWeighting):
            return
        jacobian = samples("random", 4)[2]  # four tasks
        gramian = jacobian @ jacobian.T
        indices = torch.tensor([0, 1, 3])
        losses = torch.tensor([0.5, 1.0, 0.0, 2.0])
        found = weigh(module, gramian, losses, UpdateInfo(torch.tensor([3.0, 3, 0, 3]), indices))
        assert found[2] == 0
        rest = gradient_scheme.build(tuple(terms_of(4)[i] for i in indices), 4)
        wanted = weigh(rest, gramian[indices][:, indices], losses[indices], all_of(3))
        torch.testing.assert_close(found[indices], wanted)


SCALED_ALIKE = (
    MGDA(normalize=Normalization.NORM),
    PCGrad(),
    IMTLG(),
    CAGrad(),
    ConicGrad(),
    AlignedMTL(),
    DBMTL(),
)


@pytest.mark.parametrize("own", SCALED_ALIKE, ids=lambda own: type(own).__name__)
@pytest.mark.parametrize("factor", [1e-10, 1e10])
def test_all_gradients_times_a_factor_is_the_direction_times_it(own, factor):
    for jacobian in samples("random", 10):
        stats = stats_of(len(jacobian))
        wanted = direction(own, jacobian, stats)
        found = direction(own, factor * jacobian, stats)
        assert_close(found / factor, wanted, 1 - 1e-6, 1e-4)


STATIONARY = ("rank-deficient", "cancelling")
"""Where some combination may be zero: Nash-MTL has no solution there, and promises nothing."""


@pytest.mark.parametrize("kind", jacobians.KINDS)
@pytest.mark.parametrize("own", [MGDA(), NashMTL()], ids=["mgda", "nash-mtl"])
def test_no_task_is_made_worse_where_that_is_promised(own, kind):
    if isinstance(own, NashMTL) and kind in STATIONARY:
        return
    for jacobian in samples(kind):
        found = direction(own, jacobian)
        noise = 1e-6 * jacobian.norm(dim=1).max() * jacobian.norm(dim=1)
        assert (jacobian @ found >= -noise).all()


class TestMgda:
    @pytest.mark.parametrize("kind", jacobians.KINDS)
    def test_no_point_of_the_simplex_is_shorter(self, kind):
        """The certificate of a shortest vector d: g_t . d >= d . d for every task."""
        for jacobian in samples(kind):
            gramian = jacobian @ jacobian.T
            weights = min_norm(gramian)
            assert weights.sum().item() == pytest.approx(1)
            assert (weights >= 0).all()
            products, length = gramian @ weights, weights @ gramian @ weights
            assert (products >= length - 1e-7 * gramian.diagonal().max()).all()

    @pytest.mark.parametrize("tasks", [FEW, FEW + 1, 20, 40])
    def test_many_tasks_have_the_same_certificate(self, tasks):
        for scale in (1.0, 100.0):
            jacobian = torch.randn(tasks, 60, dtype=torch.float64) + 0.2
            jacobian[::3] *= scale
            gramian = jacobian @ jacobian.T
            weights = min_norm(gramian)
            products, length = gramian @ weights, weights @ gramian @ weights
            assert (products >= length * (1 - 1e-5)).all()
            assert weights.sum().item() == pytest.approx(1)

    def test_two_tasks_are_the_closed_form(self):
        # Sener & Koltun, algorithm 2: the nearest point of a segment to the origin
        for jacobian in samples("random"):
            a, b = jacobian[:2]
            share = ((b - a) @ b / (a - b).square().sum()).clamp(0, 1)
            assert_close(direction(MGDA(), jacobian[:2]), share * a + (1 - share) * b, 1 - 1e-9)

    @pytest.mark.parametrize("normalize", list(Normalization))
    def test_normalised_gradients_are_compared_after_the_division(self, normalize):
        losses = torch.tensor([0.5, 2.0, 1.0])
        jacobian = samples("badly scaled", 2)[1]
        divisor = torch.ones(3, dtype=torch.float64)
        if "norm" in normalize.value:
            divisor = divisor * jacobian.norm(dim=1)
        if "loss" in normalize.value:
            divisor = divisor * losses.double()
        scaled = jacobian / divisor.unsqueeze(1)
        weights = MGDA(normalize=normalize).build(terms_of(3), 4)(
            jacobian @ jacobian.T, stats_of(3, losses)
        )
        torch.testing.assert_close(weights, min_norm(scaled @ scaled.T))

    def test_it_agrees_with_torchjd_where_that_has_converged(self):
        for jacobian in samples("random"):
            wanted = peer.MGDA(epsilon=1e-9, max_iters=5000)(jacobian)
            assert_close(direction(MGDA(), jacobian), wanted)


class TestPcGradAndGradVac:
    def by_vectors(self, jacobian, order, step):
        """Algorithm 1 on the vectors themselves, `step` changing one gradient by another."""
        made = []
        for i, gradient in enumerate(jacobian):
            for j in order[i]:
                gradient = step(gradient, jacobian[j], i, j)
            made.append(gradient)
        return torch.stack(made).sum(dim=0)

    @pytest.mark.parametrize("kind", jacobians.KINDS)
    def test_pcgrad_is_algorithm_1(self, kind):
        def project_off(own, other, i, j):
            product = own @ other
            return own - product / other.square().sum() * other if product < 0 else own

        for number, jacobian in enumerate(samples(kind)):
            stats = stats_of(len(jacobian), step=number)
            order = projection_order(len(jacobian), stats).tolist()
            assert_close(
                direction(PCGrad(), jacobian, stats),
                self.by_vectors(jacobian, order, project_off),
                1 - 1e-7,
                1e-5,
            )

    def test_gradvac_is_equations_4_and_5_over_several_updates(self):
        rate = 0.3
        module = GradVac(rate=rate).build(terms_of(4), 4)
        targets = torch.zeros(4, 4, dtype=torch.float64)

        def turn(own, other, i, j):
            cosine = torch.cosine_similarity(own, other, dim=0)
            target = targets[i, j].clone()
            targets[i, j] = (1 - rate) * target + rate * cosine
            if cosine >= target:
                return own
            top = target * (1 - cosine**2).sqrt() - cosine * (1 - target**2).sqrt()
            return own + own.norm() * top / (other.norm() * (1 - target**2).sqrt()) * other

        generator = torch.Generator().manual_seed(3)
        for step in range(12):
            jacobian = torch.randn(4, 9, generator=generator, dtype=torch.float64)
            stats = stats_of(4, step=step)
            order = projection_order(4, stats).tolist()
            found = module(jacobian @ jacobian.T, stats) @ jacobian
            assert_close(found, self.by_vectors(jacobian, order, turn), 1 - 1e-5, 1e-3)
            torch.testing.assert_close(module.targets.double(), targets, rtol=1e-4, atol=1e-6)

    def test_every_order_of_meeting_comes(self):
        seen = {
            tuple(projection_order(3, stats_of(3, step=step))[0].tolist()) for step in range(40)
        }
        assert seen == {(1, 2), (2, 1)}


class TestImtlG:
    @pytest.mark.parametrize("kind", ["random", "conflicting", "badly scaled", "tiny", "huge"])
    def test_all_unit_gradients_have_the_same_projection(self, kind):
        for jacobian in samples(kind):
            found = direction(IMTLG(), jacobian)
            units = jacobian / jacobian.norm(dim=1, keepdim=True)
            products = units @ found
            torch.testing.assert_close(
                products, products.mean().expand_as(products), rtol=1e-4, atol=1e-9 * found.norm()
            )

    @pytest.mark.parametrize("kind", ["random", "conflicting"])
    def test_it_agrees_with_torchjd(self, kind):
        for jacobian in samples(kind):
            assert_close(direction(IMTLG(), jacobian), peer.IMTLG()(jacobian))

    def test_opposite_gradients_have_no_solution_and_no_weight(self):
        jacobian = torch.tensor([[1.0, 0.0], [-2.0, 0.0]], dtype=torch.float64)
        gramian = jacobian @ jacobian.T
        weights = IMTLG().build(terms_of(2), 4)(gramian, stats_of(2))
        # C^+ 1 = 0: nothing has the same projection on two opposite vectors but 0
        assert weights.tolist() == [0, 0]


class TestCaGrad:
    def objective(self, jacobian, weights, radius):
        combined = weights @ jacobian
        return combined @ jacobian.mean(dim=0) + radius * combined.norm()

    @pytest.mark.parametrize("kind", ["random", "rank-deficient", "conflicting", "badly scaled"])
    @pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
    def test_it_agrees_with_torchjd(self, kind, c):
        for jacobian in samples(kind, 15):
            found = direction(CAGrad(c=c), jacobian)
            wanted = peer.CAGrad(c=c, norm_eps=1e-12)(jacobian)
            if wanted.norm() == 0 or kind == "badly scaled":
                continue  # there its solver is further from the optimum: see the next test
            assert_close(found, wanted)

    @pytest.mark.parametrize("kind", jacobians.KINDS)
    def test_no_other_point_is_better(self, kind):
        for jacobian in samples(kind, 10):
            radius = 0.5 * jacobian.mean(dim=0).norm()
            weights = conflict_averse(jacobian @ jacobian.T, radius)
            best = self.objective(jacobian, weights, radius)
            scale = jacobian.norm(dim=1).max() ** 2
            for other in torch.distributions.Dirichlet(torch.ones(len(jacobian))).sample((200,)):
                assert best <= self.objective(jacobian, other.double(), radius) + 1e-9 * scale

    def test_many_tasks(self):
        jacobian = torch.randn(FEW + 4, 40, dtype=torch.float64)
        radius = 0.5 * jacobian.mean(dim=0).norm()
        weights = conflict_averse(jacobian @ jacobian.T, radius)
        reference = peer.CAGrad(c=0.5, norm_eps=1e-12)(jacobian)
        assert_close(direction(CAGrad(c=0.5), jacobian), reference)
        assert weights.sum().item() == pytest.approx(1)

    def test_the_worst_task_gains_most_within_the_ball(self):
        """The primal problem (eq. 3): no direction in the ball has a better worst case."""
        for jacobian in samples("random", 10):
            mean = jacobian.mean(dim=0)
            found = direction(CAGrad(c=0.5), jacobian)
            assert (found - mean).norm().item() == pytest.approx(0.5 * mean.norm().item(), rel=1e-5)
            steps = torch.randn(500, 12, dtype=torch.float64)
            ball = mean + 0.5 * mean.norm() * steps / steps.norm(dim=1, keepdim=True)
            assert (jacobian @ found).min() >= (ball @ jacobian.T).min(dim=1).values.max() - 1e-9

    def test_beside_a_gradient_of_zero_the_mean_is_kept(self):
        jacobian = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
        found = direction(CAGrad(), jacobian)
        assert_close(found, jacobian.mean(dim=0))


class TestBargains:
    @pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
    @pytest.mark.parametrize("kind", ["random", "conflicting", "badly scaled", "huge", "tiny"])
    def test_the_bargain_holds(self, kind, power):
        for jacobian in samples(kind):
            gramian = jacobian @ jacobian.T
            weights = bargain(gramian, power)
            assert (weights > 0).all()
            torch.testing.assert_close(
                gramian @ weights * weights**power, torch.ones(len(weights), dtype=torch.float64),
                rtol=1e-5, atol=1e-6,
            )  # fmt: skip

    @pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
    def test_fairgrad_agrees_with_torchjd(self, alpha):
        for jacobian in samples("random", 10):
            wanted = peer.FairGrad(alpha=alpha)(jacobian)
            assert_close(direction(FairGrad(alpha=alpha, largest_mean=None), jacobian), wanted)

    def test_the_larger_alpha_the_more_the_least_gains(self):
        for jacobian in samples("random", 10):
            least = []
            for alpha in (0.5, 1.0, 2.0):
                found = direction(FairGrad(alpha=alpha), jacobian)
                gains = jacobian @ found
                least.append((gains.min() / gains.sum()).item())
            assert least == sorted(least)

    @pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
    def test_it_agrees_with_torchjd(self):
        for jacobian in samples("random", 10):
            solver = peer.NashMTL(n_tasks=len(jacobian), max_norm=0.0, optim_niter=100)
            found = direction(NashMTL(largest_norm=None, largest_mean=None), jacobian)
            assert torch.cosine_similarity(found, solver(jacobian), dim=0) >= 0.999

    def test_the_direction_is_no_longer_than_asked(self):
        for jacobian in samples("random", 10):
            long = direction(NashMTL(largest_norm=None), jacobian)
            found = direction(NashMTL(largest_norm=0.5), jacobian)
            assert_close(found, long * min(1.0, 0.5 / long.norm().item()))

    def test_weights_are_kept_as_long_as_asked(self):
        module = NashMTL(every=3, largest_norm=None, largest_mean=None).build(terms_of(3), 4)
        made = []
        for jacobian in samples("random", 30)[1::5]:  # of three tasks
            gramian = jacobian @ jacobian.T
            made.append((module(gramian, stats_of(3)), bargain(gramian)))
        for place, (found, fresh) in enumerate(made):
            expected = made[place - place % 3][1]
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
            assert (place % 3 == 0) == torch.allclose(found, fresh, rtol=1e-5)


@pytest.mark.parametrize("scale", list(Singular))
@pytest.mark.parametrize("kind", ["random", "rank-deficient", "conflicting"])
def test_aligned_mtl_agrees_with_torchjd(scale, kind):
    modes = {Singular.SMALLEST: "min", Singular.MEDIAN: "median", Singular.MEAN_SQUARE: "rmse"}
    for jacobian in samples(kind):
        wanted = peer.AlignedMTL(scale_mode=modes[scale])(jacobian)
        assert_close(direction(AlignedMTL(scale=scale), jacobian), wanted)


def test_aligned_gradients_are_orthogonal_and_as_long_as_the_smallest_singular_value():
    for jacobian in samples("random", 10):
        u, s, v = torch.linalg.svd(jacobian, full_matrices=False)
        wanted = s[-1] * (u @ v).mean(dim=0)
        assert_close(direction(AlignedMTL(), jacobian), wanted, 1 - 1e-7, 1e-5)


def test_gradnorm_descends_on_equation_2_and_keeps_the_sum():
    config = GradNorm(alpha=1.2, learning_rate=0.01)
    module = config.build(terms_of(3), 4)
    first = torch.tensor([1.0, 2.0, 0.5])
    values = torch.ones(3)
    generator = torch.Generator().manual_seed(5)
    for step in range(10):
        jacobian = torch.randn(3, 9, generator=generator, dtype=torch.float64)
        losses = first * (1 - 0.05 * step * torch.rand(3, generator=generator))
        found = module((jacobian @ jacobian.T), stats_of(3, losses))
        torch.testing.assert_close(found, values.double())
        w = values.clone().requires_grad_()
        lengths = jacobian.norm(dim=1).float()
        lag = losses / first
        target = ((w * lengths).mean() * (lag / lag.mean()) ** 1.2).detach()
        (w * lengths - target).abs().sum().backward()
        values = (w - 0.01 * w.grad).detach()
        values = values * 3 / values.sum()
        torch.testing.assert_close(module.values, values, rtol=1e-4, atol=1e-6)


def test_gradnorm_brings_unequal_norms_together():
    module = GradNorm(alpha=0.0, learning_rate=0.01).build(terms_of(2), 4)
    gramian = torch.diag(torch.tensor([1.0, 16.0], dtype=torch.float64))
    for _ in range(400):
        weights = module(gramian, stats_of(2, torch.ones(2)))
    assert weights[0].item() == pytest.approx(4 * weights[1].item(), rel=0.1)


def test_db_mtl_makes_gradients_of_log_losses_as_long_as_the_longest():
    for jacobian in samples("badly scaled"):
        stats = stats_of(len(jacobian))
        logs = jacobian / stats.losses.double().unsqueeze(1)
        lengths = logs.norm(dim=1, keepdim=True)
        wanted = (lengths.max() * logs / lengths).sum(dim=0)
        assert_close(direction(DBMTL(), jacobian, stats), wanted, 1 - 1e-7, 1e-5)


def test_db_mtl_with_momentum_is_the_same_on_running_means():
    module = DBMTL(momentum=0.8).build(terms_of(3), 4)
    module.allocate(9)
    mean = torch.zeros(3, 9)
    for step in range(6):
        jacobian = torch.randn(3, 9)
        stats = stats_of(3, torch.rand(3) + 0.5, step)
        logs = jacobian / stats.losses.unsqueeze(1)
        mean = 0.8 * mean + 0.2 * logs
        lengths = mean.norm(dim=1, keepdim=True)
        wanted = (lengths.max() * mean / lengths).sum(dim=0)
        assert_close(module(jacobian, stats).direction, wanted, 1 - 1e-6, 1e-4)


def test_moco_tracks_gradients_and_follows_the_shortest_combination():
    module = MoCo(tracking=0.5, rate=0.1, pull=0.2).build(terms_of(3), 4)
    module.allocate(9)
    tracked, weights = None, torch.full((3,), 1 / 3)
    for step in range(8):
        jacobian = torch.randn(3, 9)
        tracked = jacobian if tracked is None else tracked - 0.5 * (tracked - jacobian)
        slope = tracked @ tracked.T @ weights + 0.2 * weights
        weights = project(weights - 0.1 * slope)
        found = module(jacobian, stats_of(3, step=step))
        torch.testing.assert_close(found.weights, weights)
        torch.testing.assert_close(found.direction, weights @ tracked)


def test_moco_comes_to_mgda_on_constant_gradients():
    jacobian = samples("random", 2)[1].float()
    module = MoCo(rate=0.05).build(terms_of(3), 4)
    module.allocate(12)
    for step in range(800):
        found = module(jacobian, stats_of(3, step=step)).direction
    assert_close(found.double(), direction(MGDA(), jacobian.double()))


def test_excess_mtl_is_torchjds_after_the_first_update():
    # TorchJD takes the first excess risk raw, as the authors' code does; here it is its own unit
    module = ExcessMTL(rate=0.5).build(terms_of(3), 4)
    module.allocate(12)
    squares, first, weights = torch.zeros(3, 12), None, torch.full((3,), 1 / 3)
    for step in range(8):
        jacobian = torch.randn(3, 12)
        squares = squares + jacobian**2
        excess = (jacobian**2 / (squares + 1e-7).sqrt()).sum(dim=1)
        first = excess if first is None else first
        weights = (weights.log() + 0.5 * excess / first).softmax(dim=0)
        found = module(jacobian, stats_of(3, step=step))
        torch.testing.assert_close(found.weights, weights)
        torch.testing.assert_close(found.direction, weights @ jacobian)


def test_cr_mogm_agrees_with_torchjd():
    ours = CRMOGM(of=IMTLG(), momentum=0.7).build(terms_of(3), 4)
    theirs = peer.CRMOGMWeighting(peer.IMTLGWeighting(), alpha=0.7)
    for jacobian in samples("random", 30)[1::5]:
        gramian = jacobian @ jacobian.T
        torch.testing.assert_close(
            ours(gramian, stats_of(3)), theirs(gramian), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (MoDo(rate=0.2, pull=0.1), peer.MoDoWeighting(gamma=0.2, rho=0.1)),
        (SDMGrad(nearness=0.4, rate=0.5), peer.SDMGradWeighting(lambda_=0.4, lr=0.5)),
    ],
    ids=["modo", "sdmgrad"],
)
def test_schemes_of_two_draws_agree_with_torchjd(own, theirs):
    ours = own.build(terms_of(3), 4)
    generator = torch.Generator().manual_seed(1)
    for step in range(10):
        base = torch.randn(3, 9, generator=generator, dtype=torch.float64)
        first, second = (
            base + 0.1 * torch.randn(3, 9, generator=generator, dtype=torch.float64)
            for _ in range(2)
        )
        crossed = first @ second.T
        torch.testing.assert_close(
            ours(crossed, stats_of(3, step=step)), theirs(crossed), rtol=1e-3, atol=1e-4
        )


def test_a_scheme_of_draws_says_so_by_its_type(gradient_scheme):
    module = gradient_scheme.build(terms_of(4), 4)
    several = isinstance(module, DoubleSampling | LookaheadWeighting)
    assert several == (gradient_scheme.compares_samples and isinstance(module, GramianWeighting))


@pytest.mark.parametrize("tasks", [1, 2, 5, 30])
def test_the_projection_is_the_nearest_point_of_the_simplex(tasks):
    for _ in range(20):
        point = 3 * torch.randn(tasks, dtype=torch.float64)
        found = project(point)
        assert found.sum().item() == pytest.approx(1)
        assert (found >= 0).all()
        # the certificate of a projection: (point - found) . (other - found) <= 0
        for other in torch.eye(tasks, dtype=torch.float64):
            assert (point - found) @ (other - found) <= 1e-9


class TestInFloat32:
    """As training has it: gradients in float32, of which the Gramian is made."""

    def made(self, jacobian):
        return gramian_of(jacobian.float())

    @pytest.mark.parametrize("kind", ["rank-deficient", "cancelling"])
    def test_gradients_that_cancel_still_do(self, kind):
        for jacobian in samples(kind):
            jacobian = jacobian.float().double()
            gramian = self.made(jacobian)
            weights = MGDA().build(terms_of(len(jacobian)), 4)(gramian, stats_of(len(jacobian)))
            longest = jacobian.norm(dim=1).max()
            products, found = jacobian @ (weights @ jacobian), weights @ jacobian
            assert (products >= found.square().sum() - 1e-6 * longest**2).all()

    def test_opposite_gradients_have_a_shortest_vector_of_zero(self):
        for jacobian in samples("random"):
            pair = torch.stack([jacobian[0], -3.3 * jacobian[0]]).float()
            weights = MGDA().build(terms_of(2), 4)(self.made(pair), stats_of(2))
            found = (weights.float() @ pair).norm()
            assert found < 1e-3 * pair[0].norm()

    @pytest.mark.parametrize(
        "own", [AlignedMTL(), IMTLG(), CAGrad()], ids=lambda o: type(o).__name__
    )
    def test_dependent_gradients_give_what_they_give_in_float64(self, own):
        for jacobian in samples("rank-deficient"):
            count = len(jacobian)
            if count < 3:
                continue
            module = own.build(terms_of(count), 4)
            found = module(self.made(jacobian), stats_of(count)) @ jacobian
            exact = module(jacobian @ jacobian.T, stats_of(count)) @ jacobian
            assert_close(found, exact)


@pytest.mark.parametrize("own", [MoCo(), MoDo(), SDMGrad()], ids=lambda own: type(own).__name__)
def test_terms_that_all_have_no_weight_begin_again(own):
    module = own.build(terms_of(3), 4)
    module.values.copy_(torch.tensor([0.0, 0.0, 1.0]))
    stats = UpdateStats(torch.tensor([0.5, 0.7]), torch.tensor([0, 1]), StepInfo())
    jacobian = torch.randn(2, 6)
    if isinstance(module, JacobianWeighting):
        module.allocate(6)
        weights = module(jacobian, stats).weights
    else:
        weights = module(gramian_of(jacobian), stats)
    assert weights.isfinite().all()
    assert weights.sum() > 0


def test_gradients_that_were_parallel_for_long_may_part_again():
    module = GradVac(rate=0.5).build(terms_of(2), 4)
    parallel = torch.ones(2, 2, dtype=torch.float64)
    for step in range(60):
        module(parallel, stats_of(2, step=step))
    for cosine in (0.9999999, 0.999, 0.5, 0.0, -1.0):
        gramian = torch.tensor([[1.0, cosine], [cosine, 1.0]], dtype=torch.float64)
        copy = GradVac(rate=0.5).build(terms_of(2), 4)
        copy.load_state_dict(module.state_dict())
        assert copy(gramian, stats_of(2)).isfinite().all()


def test_gradvac_rotates_floats_as_tensors(monkeypatch):
    """On a CPU, few tasks are rotated on floats; weights and targets are those of a GPU."""
    terms = tuple(LossTerm(name, name, Role.MAIN, 0) for name in "abc")
    floats, tensors = (GradVac().build(terms, 0) for _ in range(2))
    for step in range(12):
        jacobian = torch.randn(3, 5, dtype=torch.float64)
        jacobian[1] *= float(step % 3 > 0)  # sometimes a gradient of zero
        stats = UpdateStats(torch.ones(3), torch.arange(3), StepInfo(seed=step))
        weights = floats(jacobian @ jacobian.T, stats)
        with monkeypatch.context() as patch:
            patch.setattr("mtlkit.weightings.gradvac.on_floats", lambda gramian: False)
            torch.testing.assert_close(tensors(jacobian @ jacobian.T, stats), weights)
        torch.testing.assert_close(tensors.targets, floats.targets)


@pytest.mark.parametrize("rank", [1, 2, 3, 6])
def test_imtl_g_is_the_same_on_floats_and_on_tensors(rank, monkeypatch):
    """On a CPU, few independent gradients are solved on floats; dependent ones are not."""
    jacobian = torch.randn(4, rank, dtype=torch.float64) @ torch.randn(rank, 9, dtype=torch.float64)
    jacobian *= torch.tensor([[1.0], [100.0], [1e-3], [1.0]])
    stats = UpdateStats(torch.ones(4), torch.arange(4), StepInfo())
    module = IMTLG().build((), 0)
    weights = module(jacobian @ jacobian.T, stats)
    monkeypatch.setattr("mtlkit.weightings.imtl_g.on_floats", lambda gramian: False)
    torch.testing.assert_close(weights, module(jacobian @ jacobian.T, stats))
