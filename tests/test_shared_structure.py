"""Structure that tasks share: latent tasks, deep CCA and convex feature learning.

Each is compared with its definition or closed form, and trained on data of ../shared/data.
"""

import gzip
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from scipy.io import arff, loadmat
from sklearn.cross_decomposition import CCA
from sklearn.metrics import roc_auc_score
from torch import nn

from mtlkit.backbones import MLP
from mtlkit.callbacks import FeatureLearning
from mtlkit.callbacks.feature_learning import penalty, penalty_gradient
from mtlkit.data import (
    Data,
    DataSource,
    Labels,
    Loading,
    MultiLabelTarget,
    Numeric,
    Split,
    VectorTarget,
)
from mtlkit.errors import AssemblyError
from mtlkit.features.vectors import VectorFeatures
from mtlkit.heads import DeepCCA, LatentTasks, MultiLabel, Regression
from mtlkit.optim import SGD, AdamW
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task
from mtlkit.testing.small_data import small_recipe, small_updater

REAL = Path(__file__).parents[2] / "shared" / "data"
NAMES = ("a", "b", "c", "d")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@attrs.frozen(kw_only=True, eq=False)
class Given(DataSource):
    """Inputs (N, D) and columns by name; the last fifth of the samples is the test split."""

    inputs: torch.Tensor
    columns: dict

    def load(self, loading: Loading) -> Data:
        count = len(self.inputs)
        ids = [str(number) for number in range(count)]
        whole = Split(inputs=self.inputs, columns=self.columns, ids=ids)
        train, test = torch.arange(count).split([count - count // 5, count // 5])
        return Data(train=whole.subset(train), test=whole.subset(test), mean=0.0, std=1.0)


def real(*parts):
    path = REAL.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{'/'.join(parts)}")
    return path


def recipe_of(inputs, columns, head, epochs, batch, **parts):
    """A recipe with a task with `head` for each of the `columns`."""
    return Recipe(
        data=Given(inputs=inputs, columns=columns),
        tasks={name: Task(head=head) for name in columns},
        train=Train(device="cpu", threads=1, loggers=(), watch=False, epochs=epochs, batch=batch),
        **parts,
    )


def trained(recipe):
    """The updater after training, and the inputs and labels of the test split."""
    updater = small_updater(recipe)
    for step in range(updater.steps):
        updater.update(step)
    updater.inner.model.eval()
    test = recipe.data.load(Loading()).test
    every = torch.arange(len(test))
    return updater, test.inputs, {name: one.rows[every] for name, one in test.columns.items()}


# --- latent tasks --------------------------------------------------------------------------------


def latent_head(**options):
    return LatentTasks(**options).build(VectorFeatures(width=6), MultiLabelTarget(names=NAMES))


def test_the_loss_of_latent_tasks_is_its_formula():
    head = latent_head(latent=3, sparsity=0.2, groups={"first": ("a", "c")})
    features = torch.randn(5, 6)
    labels = torch.tensor([[1, 0, -1, 1]] * 4 + [[-1] * 4])
    latent, combination = head.latent.weight.T, head.combination.weight.T  # L (D, k), S (k, K)
    margins = features @ latent @ combination + head.combination.bias
    by_group = [combination[:, [0, 2]], combination[:, [1, 3]]]
    penalties = 0.2 * sum(row.norm() for group in by_group for row in group)
    for sample in range(4):
        signs = {0: 1, 1: -1, 3: 1}
        parts = [max(0, 1 - y * margins[sample, k].item()) ** 2 / 2 for k, y in signs.items()]
        expected = sum(parts) / 3 + penalties.item()
        assert head.loss(features, labels)[sample].item() == pytest.approx(expected, rel=1e-5)
    assert head.loss(features, labels)[4] == 0


def test_the_weights_of_all_labels_have_the_rank_of_the_latent_tasks():
    head = latent_head(latent=2)
    assert torch.linalg.matrix_rank(head.combination.weight @ head.latent.weight) == 2


def test_groups_compete_for_latent_tasks():
    """A strong penalty leaves every latent task to few groups, and keeps whole columns at 0."""
    features = torch.randn(256, 6)
    directions = torch.randn(2, 6)
    labels = (features @ directions[[0, 0, 1, 1]].T > 0).long()
    head = latent_head(latent=4, sparsity=0.02, groups={"one": ("a", "b"), "two": ("c", "d")})
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(800):
        optimizer.zero_grad()
        head.loss(features, labels).mean().backward()
        optimizer.step()
    norms = torch.stack([head.combination.weight[i].norm(dim=0) for i in ([0, 1], [2, 3])])
    used = norms > 0.1 * norms.max()
    assert used.sum() <= 4  # of 2 groups x 4 latent tasks
    assert ((head(features) > 0) == (labels > 0)).float().mean() > 0.95


def test_a_group_of_unknown_or_repeated_labels_is_refused():
    with pytest.raises(AssemblyError, match="got 'x' 1 times, expected each of the labels a, b"):
        latent_head(groups={"one": ("a", "x")})
    with pytest.raises(AssemblyError, match="got 'a' 2 times"):
        latent_head(groups={"one": ("a",), "two": ("a",)})


def test_latent_tasks_predict_emotions():
    rows = []
    for part in ("train", "test"):  # the official cut
        with real("mulan_ml", "emotions", f"emotions-{part}.arff").open() as file:
            rows += [[float(value) for value in row] for row in arff.loadarff(file)[0]]
    table = torch.tensor(rows)
    inputs = (table[:, :-6] - table[:, :-6].mean(dim=0)) / table[:, :-6].std(dim=0)
    names = ("amazed", "happy", "relaxing", "quiet", "sad", "angry")
    columns = {"mood": Labels(MultiLabelTarget(names=names), table[:, -6:].long())}
    groups = {"loud": ("amazed", "happy", "angry"), "calm": ("relaxing", "quiet", "sad")}
    scores = {}
    for name, head in (("latent", LatentTasks(latent=4, groups=groups)), ("alone", MultiLabel())):
        optimizer = AdamW(lr=3e-3, weight_decay=0.01)
        parts = {"backbone": MLP(hidden=(32,)), "optimizer": optimizer}
        updater, test, labels = trained(recipe_of(inputs, columns, head, 20, 64, **parts))
        with torch.no_grad():
            outputs = updater.inner.model(test).outputs["mood"]
        scores[name] = roc_auc_score(labels["mood"].numpy(), outputs.numpy())
    assert scores["latent"] > 0.8
    assert scores["latent"] > scores["alone"] - 0.02


# --- deep CCA ------------------------------------------------------------------------------------


def views(count=400, shared=3):
    """Two linear views (N, 6) and (N, 4) of the same hidden numbers, with noise."""
    hidden = torch.randn(count, shared)
    first = hidden @ torch.randn(shared, 6) + 0.8 * torch.randn(count, 6)
    second = hidden @ torch.randn(shared, 4) + 0.8 * torch.randn(count, 4)
    return first, second


def cca_head(components=2, **options):
    config = DeepCCA(components=components, **options)
    return config.build(VectorFeatures(width=6), VectorTarget(names=NAMES))


def inverse_root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.rsqrt()) @ vectors.T


def test_the_loss_and_its_gradient_are_those_of_the_paper():
    first, second = views(50)
    second[7, 1] = torch.nan  # ignored
    head = cca_head(regularization=0.01).double()
    head.fit_targets(second)
    inputs = first.double().requires_grad_()
    head.loss(inputs, second).sum().backward()
    kept = [row for row in range(50) if row != 7]
    one = head.first(first.double())[kept].T.detach()
    two = head.second(((second - head.label_mean) / head.label_std).double())[kept].T.detach()
    one, two = one - one.mean(1, keepdim=True), two - two.mean(1, keepdim=True)
    roots = [inverse_root(h @ h.T / 48 + 0.01 * torch.eye(2)) for h in (one, two)]
    u, values, vh = torch.linalg.svd(roots[0] @ (one @ two.T / 48) @ roots[1])
    losses = head.loss(first.double(), second)
    assert losses[7] == 0
    assert losses.sum().item() / 49 == pytest.approx(2 - values.sum().item(), rel=1e-6)
    both = roots[0] @ u @ vh @ roots[1]  # eq. 12 and 13
    own = -roots[0] @ u @ torch.diag(values) @ u.T @ roots[0] / 2
    at_projection = (2 * own @ one + both @ two) / 48  # eq. 11, of the correlation
    expected = torch.zeros(50, 6, dtype=torch.float64)
    expected[kept] = -49 * at_projection.T @ head.first.weight.detach()
    torch.testing.assert_close(inputs.grad, expected, rtol=1e-5, atol=1e-7)


def test_linear_views_reach_the_correlations_of_scikit_learn():
    first, second = views()
    head = cca_head(components=2, regularization=1e-6)
    head.fit_targets(second)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = head.loss(first, second).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    known = CCA(n_components=2, max_iter=5000).fit(first.numpy(), second.numpy())
    pairs = zip(*(view.T for view in known.transform(first.numpy(), second.numpy())), strict=True)
    expected = sum(np.corrcoef(a, b)[0, 1] for a, b in pairs)
    total = 2 - head.loss(first, second).mean().item()
    assert total == pytest.approx(expected, abs=1e-3)


def test_the_second_view_is_predicted_by_running_covariances():
    first, second = views(2000)
    head = cca_head(components=4)
    head.fit_targets(second)
    for _ in range(200):
        head.loss(first, second)
    predicted = head.eval()(first)
    projected = head.first(first).detach()
    design = torch.cat([projected, torch.ones(2000, 1)], dim=1)
    best = design @ torch.linalg.lstsq(design, second).solution
    torch.testing.assert_close(predicted.float(), best, rtol=0.05, atol=0.05)


def test_deep_cca_correlates_the_halves_of_digits_more_than_linear_cca():
    """The experiment of the paper's section 4.1, on 4,000 digits."""
    raw = gzip.decompress(real("mnist_t10k", "t10k-images-idx3-ubyte.gz").read_bytes())
    images = torch.frombuffer(bytearray(raw[16 : 16 + 4000 * 784]), dtype=torch.uint8)
    images = images.view(-1, 28, 28).float() / 255
    left, right = images[:, :, :14].flatten(1), images[:, :, 14:].flatten(1)
    target = VectorTarget(names=tuple(f"pixel{number}" for number in range(right.shape[1])))
    totals = {}
    for name, hidden in (("linear", ()), ("deep", (256,))):
        head = DeepCCA(components=10, hidden=hidden, regularization=0.1)
        backbone = MLP(hidden=hidden) if hidden else Linear()
        recipe = recipe_of(
            left, {"right": Labels(target, right)}, head, 10, 400,
            backbone=backbone, optimizer=AdamW(lr=1e-3),
        )  # fmt: skip
        updater, test, labels = trained(recipe)
        model = updater.inner.model
        with torch.no_grad():
            losses = model.head("right").loss(model.pooled(model.features(test)), labels["right"])
        totals[name] = 10 - losses.mean().item()
    assert totals["linear"] > 4
    assert totals["deep"] > totals["linear"] + 0.5


# --- convex feature learning ---------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["trace", "l21"])
def test_the_gradient_of_the_penalty_is_that_of_its_definition(norm):
    options = FeatureLearning(norm=norm, epsilon=1e-3)
    for shape in ((6, 3), (3, 6), (4, 4)):
        weights = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        gram = weights @ weights.T
        if norm == "l21":
            gram = torch.diag(gram.diagonal())
        values = torch.linalg.eigvalsh(gram + 1e-3 * torch.eye(shape[0]))
        defined = values.sqrt().sum().square()
        assert penalty(weights.detach(), options).item() == pytest.approx(defined.item())
        [expected] = torch.autograd.grad(defined, weights)
        torch.testing.assert_close(penalty_gradient(weights.detach(), options), expected)


def test_the_penalty_is_the_minimum_over_the_matrix_of_features():
    options = FeatureLearning(epsilon=1e-9)
    weights = torch.randn(5, 3, dtype=torch.float64)
    least = penalty(weights, options).item()
    for _ in range(50):
        root = torch.randn(5, 5, dtype=torch.float64)
        features = root @ root.T
        features /= features.trace()
        assert (weights * torch.linalg.solve(features, weights)).sum().item() >= least * (1 - 1e-6)


@attrs.frozen(kw_only=True)
class Linear(MLP):
    """No backbone: the heads read the inputs."""

    def build(self, inputs):
        module = super().build(inputs)
        module.features = VectorFeatures(width=inputs.shape[0])
        module.layers = nn.Identity()
        return module


def alternating(inputs, labels, strength, epsilon, diagonal):
    """Algorithm 1 of the paper: ridge regressions under D, and D from their weights."""
    count, width = inputs.shape
    features = np.eye(width) / width
    for _ in range(3000):
        penalized = inputs.T @ inputs / count + 2 * strength * np.linalg.inv(features)
        weights = np.linalg.solve(penalized, inputs.T @ labels / count)
        gram = weights @ weights.T + epsilon * np.eye(width)
        if diagonal:
            root = np.diag(np.sqrt(np.diag(gram)))
        else:
            values, vectors = np.linalg.eigh(gram)
            root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
        features = root / np.trace(root)
    return weights


@pytest.mark.parametrize("norm", ["trace", "l21"])
def test_training_ends_where_the_alternating_algorithm_does(norm):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(125, 4, generator=generator)
    hidden = torch.randn(4, 1, generator=generator)
    labels = inputs @ hidden @ torch.randn(1, 3, generator=generator)
    labels += 0.3 * torch.randn(125, 3, generator=generator)
    columns = {name: Numeric(labels[:, number]) for number, name in enumerate(NAMES[:3])}
    recipe = recipe_of(
        inputs, columns, Regression(), 1000, 100,
        backbone=Linear(), optimizer=SGD(lr=0.05, momentum=0.9, weight_decay=0.0),
        callbacks=(FeatureLearning(strength=0.05, norm=norm, epsilon=1e-4),),
    )  # fmt: skip
    updater, _, _ = trained(recipe)
    model = updater.inner.model
    learned = torch.cat([model.head(name).layers[-1].weight for name in columns]).detach().T
    x, y = inputs[:100].double().numpy(), labels[:100].double().numpy()
    standard = (y - y.mean(0)) / y.std(0)
    expected = alternating(x - x.mean(0), standard, 0.05, 1e-4, norm == "l21")
    assert np.abs(learned.numpy() - expected).max() < 2e-3
    [callback] = updater.callbacks
    assert callback.log_values()["feature learning penalty"] > 0


def test_weights_of_different_widths_are_refused():
    callback = FeatureLearning(parameters=("*",))
    recipe = attrs.evolve(small_recipe(), callbacks=(callback,))
    with pytest.raises(AssemblyError, match=r"got weights of different numbers of features .*\."):
        small_updater(recipe)


def test_feature_learning_explains_more_of_the_schools():
    """The School data of the paper's section 5.2: 139 regressions with few pupils each."""
    cells = loadmat(real("school", "school.mat"))
    tasks = list(zip(cells["X"][0], cells["Y"][0], strict=True))
    generator = torch.Generator().manual_seed(0)
    number = torch.cat([torch.full((len(y),), n) for n, (_, y) in enumerate(tasks)])
    order = torch.randperm(len(number), generator=generator)
    inputs = torch.cat([torch.tensor(x[:, :-1], dtype=torch.float32) for x, _ in tasks])[order]
    exams = torch.cat([torch.tensor(y[:, 0], dtype=torch.float32) for _, y in tasks])[order]
    inputs = (inputs - inputs.mean(0)) / inputs.std(0).clamp(min=1e-6)
    columns = {
        f"school{school}": Numeric(torch.where(number[order] == school, exams, torch.nan))
        for school in range(len(tasks))
    }
    explained = {}
    for name, callbacks in (("alone", ()), ("together", (FeatureLearning(strength=3e-2),))):
        recipe = recipe_of(
            inputs, columns, Regression(), 15, 4096, backbone=Linear(), callbacks=callbacks,
            optimizer=AdamW(lr=0.02, weight_decay=0.0),
        )  # fmt: skip
        updater, test, labels = trained(recipe)
        with torch.no_grad():
            outputs = updater.inner.model(test).outputs
        errors = torch.cat([(outputs[task] - labels[task]) for task in columns])
        errors = errors[~errors.isnan()]
        explained[name] = 1 - errors.square().mean().item() / exams[-len(test) :].var().item()
    assert explained["together"] > explained["alone"] + 0.02, explained
