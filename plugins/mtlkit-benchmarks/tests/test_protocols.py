"""Losses, metrics and networks of published protocols, against their formulas."""

import attrs
import pytest
import torch
import torch.nn.functional as F
from mtlkit_benchmarks.batch_averages import BatchAverages, batch_errors, grouped
from mtlkit_benchmarks.best_delta import BestDelta
from mtlkit_benchmarks.networks.nnconv import NNConv, NNConvBackbone
from mtlkit_benchmarks.networks.segnet_mtan import SegNetMTAN, SegNetMTANBackbone
from mtlkit_benchmarks.zoom_crop import ZoomCrop

from mtlkit import Role, Task
from mtlkit.backbones import MapFeatures
from mtlkit.data import (
    ClassMapTarget,
    Draw,
    InputSpec,
    Mirror,
    MultiLabelTarget,
    RealMapTarget,
    Sample,
    UnitVectorMapTarget,
)
from mtlkit.heads import DenseRegression, Normals, Segmentation
from mtlkit.metrics import (
    F1,
    MAE,
    Accuracy,
    AngleMean,
    AngleMedian,
    AngleWithin,
    MeanIoU,
    RelativeError,
)

SIZE = (8, 40)
NAMES = ("a", "b", "c")


def features(generator):
    return torch.randn(2, 5, *SIZE, generator=generator)


def masks():
    """10 and 200 valid pixels."""
    mask = torch.zeros(2, *SIZE, dtype=torch.bool)
    mask[0, 0, :10] = True
    mask[1, :5] = True
    return mask


def reduced(head, target_type, read, labels):
    """Return the mean of the batch: samples weighted by their numbers of valid elements."""
    weights = target_type.weights(labels)
    with torch.no_grad():
        losses = head.loss(read, labels)
    return float((losses * weights).sum() / weights.sum())


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_the_depth_loss_is_a_sum_over_the_valid_pixels_of_the_batch(generator):
    target = RealMapTarget(quantity="depth")
    head = DenseRegression().build(MapFeatures(channels=5), target)
    read, mask = features(generator), masks()
    depth = torch.rand(2, 1, *SIZE, generator=generator) * mask.unsqueeze(1)
    labels = torch.where(mask.unsqueeze(1), depth, torch.nan)
    published = ((head(read) - depth).abs() * mask.unsqueeze(1)).sum() / mask.sum()
    assert reduced(head, target, read, labels) == pytest.approx(published.item(), abs=1e-6)
    mean_of_means = head.loss(read, labels).mean().item()
    assert abs(mean_of_means - published.item()) > 1e-4


def test_the_loss_of_normals_is_a_sum_over_the_valid_pixels_of_the_batch(generator):
    target = UnitVectorMapTarget()
    head = Normals().build(MapFeatures(channels=5), target)
    read, mask = features(generator), masks()
    normals = F.normalize(torch.randn(2, 3, *SIZE, generator=generator), dim=1) * mask.unsqueeze(1)
    raw = head.maps(read)
    unit = raw / raw.norm(dim=1, keepdim=True)
    published = 1 - ((unit * normals).sum(dim=1) * mask).sum() / mask.sum()
    assert reduced(head, target, read, normals) == pytest.approx(published.item(), abs=1e-6)


def test_the_loss_of_classes_is_a_mean_over_the_valid_pixels_of_the_batch(generator):
    target = ClassMapTarget(names=NAMES)
    head = Segmentation().build(MapFeatures(channels=5), target)
    read = features(generator)
    codes = torch.randint(0, 3, (2, *SIZE), generator=generator)
    labels = torch.where(masks(), codes, -1)
    published = F.nll_loss(F.log_softmax(head(read), dim=1), labels, ignore_index=-1)
    assert reduced(head, target, read, labels) == pytest.approx(published.item(), abs=1e-6)


@pytest.mark.parametrize("head", [DenseRegression(), Normals(), Segmentation()])
def test_a_batch_without_a_valid_pixel_has_loss_and_weight_zero(head, generator):
    target = {DenseRegression: RealMapTarget(), Normals: UnitVectorMapTarget()}.get(
        type(head), ClassMapTarget(names=NAMES)
    )
    shape = {3: (2, *SIZE)}.get(target.dims, (2, 3 if isinstance(head, Normals) else 1, *SIZE))
    labels = torch.full(shape, target.missing, dtype=target.dtype)
    module = head.build(MapFeatures(channels=5), target)
    assert module.loss(features(generator), labels).tolist() == [0.0, 0.0]
    assert target.weights(labels).tolist() == [0.0, 0.0]


def measured(metric, target, outputs, labels):
    whole = metric.build(target)
    whole.update(outputs, labels)
    halves = [metric.build(target) for _ in range(2)]
    for state, part in zip(halves, (slice(0, 1), slice(1, None)), strict=True):
        state.update(outputs[part], labels[part])
    halves[0].merge(halves[1])
    assert halves[0].compute() == pytest.approx(whole.compute(), abs=1e-9)
    return whole.compute()


def test_metrics_of_classes_are_those_of_one_confusion_matrix(generator):
    target = ClassMapTarget(names=NAMES)
    outputs = torch.randn(2, 3, *SIZE, generator=generator)
    labels = torch.where(masks(), torch.randint(0, 3, (2, *SIZE), generator=generator), -1)
    known = labels >= 0
    pairs = labels[known] * 3 + outputs.argmax(dim=1)[known]
    matrix = torch.bincount(pairs, minlength=9).reshape(3, 3).double()
    hits = matrix.diag()
    iou = hits / (matrix.sum(dim=0) + matrix.sum(dim=1) - hits)
    assert measured(MeanIoU(), target, outputs, labels) == pytest.approx(
        float(iou.mean()), abs=1e-6
    )
    accuracy = float(hits.sum() / matrix.sum())
    assert measured(Accuracy(), target, outputs, labels) == pytest.approx(accuracy, abs=1e-6)


def test_a_class_that_is_absent_is_left_out_where_the_published_code_has_nan():
    target = ClassMapTarget(names=NAMES)
    outputs = torch.tensor([4.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(2, 3, *SIZE)
    labels = torch.zeros(2, *SIZE, dtype=torch.int64)
    assert measured(MeanIoU(), target, outputs, labels) == 1.0


def test_metrics_of_depth_are_over_all_pixels(generator):
    target = RealMapTarget(quantity="depth")
    outputs = torch.rand(2, 1, *SIZE, generator=generator)
    mask = masks().unsqueeze(1)
    depth = torch.rand(2, 1, *SIZE, generator=generator) + 0.5
    labels = torch.where(mask, depth, torch.nan)
    error = (outputs - depth).abs()[mask].double()
    assert measured(MAE(), target, outputs, labels) == pytest.approx(float(error.mean()), abs=1e-6)
    relative = float((error / depth[mask]).mean())
    assert measured(RelativeError(), target, outputs, labels) == pytest.approx(relative, abs=1e-6)


def test_metrics_of_normals_are_over_all_pixels(generator):
    target, mask = UnitVectorMapTarget(), masks()
    outputs = torch.randn(2, 3, *SIZE, generator=generator)
    normals = F.normalize(torch.randn(2, 3, *SIZE, generator=generator), dim=1) * mask.unsqueeze(1)
    unit = F.normalize(outputs, dim=1)
    angles = (unit * normals).sum(dim=1)[mask].double().clamp(-1, 1).acos().rad2deg()
    mean = measured(AngleMean(), target, outputs, normals)
    assert mean == pytest.approx(float(angles.mean()), abs=1e-4)  # the arc cosine of float32
    # a histogram of 0.01 degrees
    median = measured(AngleMedian(), target, outputs, normals)
    assert median == pytest.approx(float(angles.median()), abs=0.006)
    for limit in (11.25, 22.5, 30):
        share = measured(AngleWithin(degrees=limit), target, outputs, normals)
        assert share == pytest.approx(float((angles < limit).double().mean()), abs=1e-6)


def test_the_f1_of_an_attribute_is_that_of_its_positive_class(generator):
    target = MultiLabelTarget(names=("Smiling",))
    outputs = torch.randn(50, 1, generator=generator)
    labels = torch.randint(0, 2, (50, 1), generator=generator)
    predicted = (outputs.sigmoid() > 0.5).long()
    hits = (predicted * labels).sum().double()
    precision, recall = hits / (predicted.sum() + 1e-8), hits / (labels.sum() + 1e-8)
    published = float(2 * precision * recall / (precision + recall + 1e-8))
    assert measured(F1(), target, outputs, labels) == pytest.approx(published, abs=1e-6)


DEPTH, NORMALS = Task(head=DenseRegression()), Task(head=Normals())


class Trained:
    """Predictions of five samples, in batches of three and two."""

    def __init__(self, outputs, targets):
        self.tasks = {"depth": DEPTH, "normals": NORMALS}
        self.data = attrs.make_class("D", ["test"])(object())
        self.parts = [
            (
                attrs.make_class("P", ["outputs"])({n: v[part] for n, v in outputs.items()}),
                {n: v[part] for n, v in targets.items()},
            )
            for part in (slice(0, 3), slice(3, 5))
        ]

    def batches(self, split):
        yield from self.parts


def test_averages_over_batches_weigh_them_equally(generator):
    depth = torch.rand(5, 1, *SIZE, generator=generator) + 0.5
    depth[0, 0, 1:] = torch.nan
    normals = F.normalize(torch.randn(5, 3, *SIZE, generator=generator), dim=1)
    normals[4, :, 2:] = 0
    targets = {"depth": depth, "normals": normals}
    outputs = {"depth": torch.rand(5, 1, *SIZE, generator=generator),
               "normals": torch.randn(5, 3, *SIZE, generator=generator)}  # fmt: skip
    trained = Trained(outputs, targets)
    assert [len(one["depth"]) for one, _ in grouped(trained, 2)] == [2, 2, 1]
    result = BatchAverages(batch=2).evaluate(trained).metrics
    absolute, medians = [], []
    for part in (slice(0, 2), slice(2, 4), slice(4, 5)):
        valid = ~depth[part].isnan()
        absolute.append(float((outputs["depth"][part] - depth[part])[valid].double().abs().mean()))
        unit = F.normalize(outputs["normals"][part], dim=1)
        known = normals[part].sum(dim=1) != 0
        cosines = (unit * normals[part]).sum(dim=1)[known].double()
        medians.append(float(cosines.clamp(-1, 1).acos().rad2deg().median()))
    assert result["batches-of-2/depth/mae-batch2"] == pytest.approx(sum(absolute) / 3, abs=1e-6)
    name = "batches-of-2/normals/angle-median-batch2"
    assert result[name] == pytest.approx(sum(medians) / 3, abs=1e-4)
    over_pixels = float((outputs["depth"] - depth)[~depth.isnan()].abs().mean())
    assert abs(result["batches-of-2/depth/mae-batch2"] - over_pixels) > 1e-4
    other = BatchAverages(batch=5).evaluate(trained).metrics
    assert other["batches-of-5/depth/mae-batch5"] == pytest.approx(over_pixels, abs=1e-6)


def test_a_batch_without_a_label_is_left_out_of_the_averages():
    nothing = torch.full((2, 1, *SIZE), torch.nan)
    assert batch_errors(DEPTH, torch.zeros_like(nothing), nothing) == {}
    assert batch_errors(NORMALS, torch.ones(2, 3, *SIZE), torch.zeros(2, 3, *SIZE)) == {}
    assert batch_errors(Task(), torch.zeros(2, 4), torch.zeros(2)) == {}


def plane(quantity):
    targets = {"d": RealMapTarget(quantity=quantity), "n": UnitVectorMapTarget()}
    normal = torch.tensor([1.0, 0, 0]).reshape(3, 1, 1).expand(3, 24, 36).clone()
    labels = {"d": torch.full((1, 24, 36), 6.0), "n": normal}
    return Sample(inputs=torch.rand(3, 24, 36), labels=labels, targets=targets)


@pytest.mark.parametrize(
    ("quantity", "zoomed"), [("depth", 4.0), ("disparity", 9.0), ("value", 6.0)]
)
def test_a_zoom_divides_a_depth_and_multiplies_a_disparity(quantity, zoomed):
    result = ZoomCrop(scales=(1.5,)).apply(plane(quantity), Draw(0))
    assert torch.allclose(result.labels["d"], torch.full((1, 24, 36), zoomed))


def test_a_mirror_changes_the_sign_of_the_x_of_normals():
    result = Mirror(p=1.0).apply(plane("depth"), Draw(0))
    assert (result.labels["n"][0] == -1).all()


def test_the_zoom_is_that_of_the_published_code(generator):
    image = torch.rand(3, 24, 36, generator=generator)
    codes = torch.randint(-1, 3, (24, 36), generator=generator)
    vectors = F.normalize(torch.randn(3, 24, 36, generator=generator), dim=0)
    sample = Sample(
        inputs=image,
        labels={"c": codes, "n": vectors},
        targets={"c": ClassMapTarget(names=NAMES), "n": UnitVectorMapTarget()},
    )
    draw = Draw(3)
    draw.integer(0, 0)
    rows, columns = int(24 / 1.2), int(36 / 1.2)
    top, left = draw.integer(0, 24 - rows), draw.integer(0, 36 - columns)
    result = ZoomCrop(scales=(1.2,), normalize=False).apply(sample, Draw(3))

    def cut(values, mode, **options):
        box = values[None, ..., top : top + rows, left : left + columns]
        return F.interpolate(box, size=(24, 36), mode=mode, **options)[0]

    expected = cut(image, "bilinear", align_corners=True)
    assert torch.allclose(result.inputs, expected, atol=1e-6)
    expected = cut(vectors, "bilinear", align_corners=True)
    assert torch.allclose(result.labels["n"], expected, atol=1e-6)
    assert (result.labels["n"].norm(dim=0) < 0.99).any()
    assert torch.equal(result.labels["c"], cut(codes[None].float(), "nearest")[0].long())
    again = ZoomCrop(scales=(1.2,)).apply(sample, Draw(3)).labels["n"]
    assert torch.allclose(again.norm(dim=0), torch.ones(24, 36), atol=1e-5)


def test_messages_equal_those_of_a_matrix_for_each_edge(generator):
    torch.manual_seed(0)
    net = NNConvBackbone(NNConv(width=4, hidden=5), 5)
    lengths = torch.rand(2, 6, 6, 1, generator=generator)
    states = torch.randn(2, 6, 4, generator=generator)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    pairs = (mask.unsqueeze(2) & mask.unsqueeze(1)).float() * (1 - torch.eye(6))
    weights = pairs / pairs.sum(dim=2, keepdim=True).clamp(min=1)
    hidden = net.edge(lengths)
    matrices = net.matrices(hidden).view(2, 6, 6, 4, 4)  # of PyTorch Geometric: h_j W(e_ij)
    direct = torch.einsum("njd,nijde->nije", states, matrices)
    direct = (direct * weights.unsqueeze(-1)).sum(dim=2)
    assert torch.allclose(net.messages(states, hidden, weights), direct, atol=1e-5)


def test_a_molecule_depends_neither_on_padding_nor_on_its_place(generator):
    torch.manual_seed(0)
    net = NNConvBackbone(NNConv(width=4, hidden=5), 5).eval()
    atoms = torch.tensor([[1, 0, 2]])
    positions = torch.randn(1, 3, 3, generator=generator)
    small = {"atoms": atoms, "positions": positions, "mask": torch.ones(1, 3, dtype=torch.bool)}
    padded = {"atoms": F.pad(atoms, (0, 2), value=5),
              "positions": F.pad(positions, (0, 0, 0, 2), value=7.0),
              "mask": F.pad(small["mask"], (0, 2))}  # fmt: skip
    assert torch.allclose(net(small), net(padded), atol=1e-6)
    turned = positions.flip(2) + 3.0
    order = torch.tensor([2, 0, 1])
    moved = {"atoms": atoms[:, order], "positions": turned[:, order], "mask": small["mask"]}
    assert torch.allclose(net(small), net(moved), atol=1e-5)


def test_segnet_with_masks_has_the_layers_of_the_published_code():
    def convolution(inputs, outputs, side=3):
        return side * side * inputs * outputs + 3 * outputs  # bias, and batch norm

    c, after = (64, 128, 256, 512, 512), (64, 64, 128, 256, 512)
    before = (3, *c[:-1])
    expected = 0
    for level in range(5):
        repeated = 1 if level < 2 else 2
        expected += convolution(before[level], c[level]) + convolution(c[level], after[level])
        expected += repeated * (
            convolution(c[level], c[level]) + convolution(after[level], after[level])
        )
        expected += convolution(c[level], (*c[1:], c[-1])[level]) + convolution(
            c[level], after[level]
        )
        masks = convolution((1 if level == 0 else 2) * c[level], c[level], 1)
        masks += convolution(c[level], c[level], 1)
        masks += convolution(c[level] + after[level], after[level], 1)
        masks += convolution(after[level], after[level], 1)
        expected += 3 * masks
    net = SegNetMTANBackbone(SegNetMTAN(tasks=3), InputSpec(shape=(3, 32, 32)))
    assert sum(p.numel() for p in net.parameters()) == expected


def test_the_masks_of_a_task_change_its_maps_alone():
    torch.manual_seed(0)
    net = SegNetMTANBackbone(SegNetMTAN(tasks=2, width=0.125), InputSpec(shape=(3, 32, 32))).eval()
    image = torch.rand(1, 3, 32, 32)
    before = net.features.split(net(image))
    with torch.no_grad():
        for parameter in net.up_masks[1].parameters():
            parameter.add_(0.5)
    after = net.features.split(net(image))
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def best(options, series):
    """Return the step whose weights are kept after validations with the metrics of `series`."""
    model = torch.nn.Linear(1, 1)
    tasks = {"depth": attrs.evolve(DEPTH, role=Role.MAIN), "kind": Task()}
    run = attrs.make_class("R", ["model", "tasks"])(model, tasks)
    state = options.build(run)
    for step, metrics in enumerate(series, start=1):
        state.after_evaluation(step, model, metrics)
    assert state.finish().startswith("best delta-m: after step")
    return int(state.step)


def test_the_best_epoch_is_relative_to_the_first_or_to_a_baseline():
    series = [
        {"depth/mae": 1.0, "depth/rmse": 1.0, "kind/accuracy": 0.5},
        {"depth/mae": 0.5, "depth/rmse": 1.0, "kind/accuracy": 0.5},  # by task 12.5, by metric 16.7
        {"depth/mae": 1.0, "depth/rmse": 1.0, "kind/accuracy": 0.65},  # by task 15, by metric 10
    ]
    assert best(BestDelta(), series) == 3
    assert best(BestDelta(mean="metrics"), series) == 2
    assert best(BestDelta(base={"depth/mae": 1.0}), series) == 2
    problems = [*BestDelta(base={"depth/no": 1.0}).problems({"depth": DEPTH})]
    assert "no task has the metric 'depth/no'" in problems[0].message
