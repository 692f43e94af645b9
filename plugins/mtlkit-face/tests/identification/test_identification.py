"""Identification on tiny made-up faces, with real untrained networks."""

import base64
import io
import json

import attrs
import numpy as np
import pytest
import torch
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.identification.gallery import arrange
from mtlkit_face.identification.template import template
from PIL import Image

from mtlkit import Role, Task
from mtlkit.assembly import assembly_of
from mtlkit.backbones import MLP
from mtlkit.data import Categorical, Data, Split
from mtlkit.evaluators import Chart, Gallery, TableBlock
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.model import assemble
from mtlkit.plugins import DataError
from mtlkit.report.evaluation import evaluation_from_json
from mtlkit.routers import BranchSelection, Grouped, Shared
from mtlkit.runs import Evaluation, evaluation_to_json

YAWS = (-90, -45, 0, 45, 90)
EXPRESSIONS = ("neutral", "smile")
GROUPS = {"left": (-90, -45), "front": (0,), "right": (45, 90)}
TASKS = {
    "identity": Task(role=Role.MAIN, target="subject"),
    "pose": Task(target="yaw"),
}


def faces(subjects: range, noise: int = 60, seed: int = 0) -> Split:
    """A picture of each subject for each yaw and expression: a pattern of his own, and noise."""
    random = np.random.default_rng(seed)
    images, rows = [], []
    for subject in subjects:
        pattern = np.random.default_rng(subject).integers(0, 256 - noise, (1, 8, 8))
        for yaw in YAWS:
            for expression in EXPRESSIONS:
                images.append(pattern + random.integers(0, noise, (1, 8, 8)))
                rows.append((str(subject), str(yaw), expression))
    subject, yaw, expression = (Categorical.of(column) for column in zip(*rows, strict=True))
    return Split(
        inputs=torch.tensor(np.stack(images), dtype=torch.uint8),
        columns={"subject": subject, "yaw": yaw, "expression": expression},
        ids=["-".join(row) for row in rows],
    )


def data() -> Data:
    return Data(train=faces(range(6)), test=faces(range(6, 14)), open_labels=frozenset({"subject"}))


def network(found: Data | None = None, router=None) -> TrainedModel:
    found = found or data()
    torch.manual_seed(0)
    tasks = TASKS
    model = assemble(MLP(hidden=(16,)), router or Shared(), tasks, assembly_of(found, tasks))
    return TrainedModel(model, found, tasks, torch.device("cpu"))


def pose_network(test: BranchSelection = BranchSelection.EXPECTED) -> TrainedModel:
    return network(router=Grouped(task="identity", by="pose", groups=GROUPS, test=test))


def brute_force_ranks(templates: np.ndarray, split: Split) -> dict[int, int]:
    """The rank of each probe by cosine, image by image."""
    templates = templates / np.linalg.norm(templates, axis=1, keepdims=True)
    subject, yaw = split.categorical("subject").values(), split.categorical("yaw").values()
    expression = split.categorical("expression").values()
    gallery = {
        subject[i]: i for i in range(len(split)) if yaw[i] == "0" and expression[i] == "neutral"
    }
    ranks = {}
    for i in range(len(split)):
        if i not in gallery.values():
            scores = {name: templates[i] @ templates[j] for name, j in gallery.items()}
            ranks[i] = sum(score >= scores[subject[i]] - 1e-12 for score in scores.values())
    return ranks


def test_rank_1_overall_by_yaw_and_by_group_is_that_of_brute_force():
    trained = network()
    split = trained.data.test
    found = Identification().evaluate(trained)
    ranks = brute_force_ranks(trained.predict(split).outputs["identity"].double().numpy(), split)
    yaw = [int(value) for value in split.categorical("yaw").values()]
    share = lambda fits: np.mean([r == 1 for i, r in ranks.items() if fits(yaw[i])])  # noqa: E731
    assert found.metrics["face/rank1"] == pytest.approx(share(lambda _: True))
    for degrees in YAWS:
        name = f"face/rank1/yaw/{degrees}"
        assert found.metrics[name] == pytest.approx(share(lambda y, d=degrees: y == d))
    for group, members in {"left": (-90, -45), "front": (0,), "right": (45, 90)}.items():
        name = f"face/rank1/group/{group}"
        assert found.metrics[name] == pytest.approx(share(lambda y, m=members: y in m))


def uneven() -> Data:
    """Noisy faces, a third of those at -45 left out, so that no two bins are equally full."""
    test = faces(range(6, 14), noise=200)
    yaw = test.categorical("yaw").values()
    keep = [i for i in range(len(test)) if yaw[i] != "-45" or i % 3]
    return attrs.evolve(data(), test=test.subset(torch.tensor(keep)))


def test_rank_1_by_yaw_without_its_sign_and_its_mean_are_those_of_brute_force():
    trained = network(uneven())
    split = trained.data.test
    pixels = split.inputs.flatten(1).double().numpy()
    ways = {
        "face": trained.predict(split).outputs["identity"].double().numpy(),
        "face/raw-pixels": pixels - pixels.mean(axis=1, keepdims=True),
    }
    found = Identification().evaluate(trained)
    rows = []
    for start, templates in ways.items():
        ranks = brute_force_ranks(templates, split)
        size = {i: abs(int(split.categorical("yaw").values()[i])) for i in ranks}
        bins = {
            s: float(np.mean([ranks[i] == 1 for i in ranks if size[i] == s])) for s in (0, 45, 90)
        }
        named = {name: found.metrics[name] for name in found.metrics if "abs-yaw" in name}
        own = {name: value for name, value in named.items() if name.startswith(f"{start}/rank1")}
        assert own == pytest.approx({f"{start}/rank1/abs-yaw/{s}": bins[s] for s in bins})
        mean = found.metrics[f"{start}/rank1/yaw-mean"]
        assert mean == pytest.approx(sum(bins.values()) / 3)
        assert mean != pytest.approx(found.metrics[f"{start}/rank1"])
        rows.append((*bins.values(), mean))
    (table,) = [
        b for b in found.sections[0].blocks if isinstance(b, TableBlock) and "±45" in b.header
    ]
    assert table.header == ("", "0", "±45", "±90", "mean")
    assert [row[0] for row in table.rows] == ["network", "raw pixels"]
    assert [row[1:] for row in table.rows] == [pytest.approx(row) for row in rows]


def test_yaws_that_are_no_degrees_have_no_size():
    test = data().test
    yaw = test.categorical("yaw")
    names = ("left", "half left", "front", "half right", "right")
    order = [YAWS.index(int(name)) for name in yaw.names]
    columns = {**test.columns, "yaw": Categorical(yaw.codes, tuple(names[i] for i in order))}
    named = attrs.evolve(data(), test=attrs.evolve(test, columns=columns))
    tasks = {"identity": TASKS["identity"]}
    model = assemble(MLP(hidden=(4,)), Shared(), tasks, assembly_of(named, tasks))
    trained = TrainedModel(model, named, tasks, torch.device("cpu"))
    asked = Identification(gallery={"yaw": "front"}, groups={"side": ("left", "right")})
    found = asked.evaluate(trained).metrics
    assert "face/rank1/yaw/half left" in found
    assert not [name for name in found if "abs-yaw" in name or "yaw-mean" in name]


def test_raw_pixels_are_matched_by_correlation():
    trained = network()
    split = trained.data.test
    pixels = split.inputs.flatten(1).double().numpy()
    ranks = brute_force_ranks(pixels - pixels.mean(axis=1, keepdims=True), split)
    found = Identification().evaluate(trained).metrics["face/raw-pixels/rank1"]
    assert found == pytest.approx(np.mean([r == 1 for r in ranks.values()]))


@pytest.mark.parametrize("choice", list(BranchSelection))
def test_the_routed_network_is_the_same_as_its_way_of_routing_by_name(choice):
    found = Identification().evaluate(pose_network(choice)).metrics
    assert found["face/rank1"] == found[f"face/{choice.value}/rank1"]
    assert {f"face/{name}/rank1" for name in ("generic", "branches", "best", "label")} <= set(found)


def test_every_way_of_matching_comes_from_the_same_network():
    one = Identification().evaluate(pose_network(BranchSelection.EXPECTED)).metrics
    two = Identification().evaluate(pose_network(BranchSelection.BEST)).metrics
    for name in ("generic", "expected", "best", "label"):
        assert one[f"face/{name}/rank1"] == two[f"face/{name}/rank1"]


def test_a_network_without_branches_is_matched_in_one_way():
    found = Identification().evaluate(network()).metrics
    assert not [name for name in found if name.startswith(("face/best", "face/generic"))]


def test_label_routing_is_left_out_where_a_label_is_missing():
    test = data().test
    codes = test.categorical("yaw").codes.clone()
    codes[0] = -1
    columns = {**test.columns, "yaw": Categorical(codes, test.categorical("yaw").names)}
    holed = attrs.evolve(data(), test=attrs.evolve(test, columns=columns))
    router = Grouped(task="identity", by="pose", groups=GROUPS)
    found = Identification().evaluate(network(holed, router)).metrics
    assert "face/best/rank1" in found
    assert "face/label/rank1" not in found


def test_groups_are_the_routers_then_those_asked_for():
    groups = {"all": (-90, -45, 0, 45, 90)}
    found = Identification(groups=groups).evaluate(pose_network()).metrics
    assert found["face/rank1/group/all"] == pytest.approx(found["face/rank1"])
    assert "face/rank1/group/left" not in found


def test_results_can_be_broken_down_by_any_label():
    found = Identification(by="expression").evaluate(network()).metrics
    assert {"face/rank1/expression/neutral", "face/rank1/expression/smile"} <= set(found)
    assert not [name for name in found if "/group/" in name or "yaw" in name]


def test_without_yaw_there_is_no_breakdown_unless_asked_for():
    test = data().test
    columns = {name: test.columns[name] for name in ("subject", "expression")}
    tasks = {"identity": TASKS["identity"]}
    bare = attrs.evolve(data(), test=attrs.evolve(test, columns=columns))
    model = assemble(MLP(hidden=(4,)), Shared(), tasks, assembly_of(bare, tasks))
    trained = TrainedModel(model, bare, tasks, torch.device("cpu"))
    found = Identification(gallery={"expression": "neutral"}).evaluate(trained)
    assert not [name for name in found.metrics if name.startswith("face/rank1/")]


def test_the_report_shows_curves_scores_and_failures():
    found = Identification().evaluate(pose_network())
    (section,) = found.sections
    charts = {b.title: b for b in section.blocks if isinstance(b, Chart)}
    metrics = found.metrics
    probes = metrics["face/scores/genuine/count"]
    assert metrics["face/scores/impostor/count"] % probes == 0
    assert metrics["face/scores/genuine/mean"] > metrics["face/scores/impostor/mean"]
    cmc = charts["Cumulative match characteristic"].series
    assert set(cmc) == {"network", "raw pixels"}
    assert all(list(curve.y) == sorted(curve.y) and curve.y[-1] == 1 for curve in cmc.values())
    assert charts["Rank-1 by yaw"].series["network"].x == YAWS
    assert charts["Rank-1 by yaw"].comparable
    scores = dict(charts["Scores of genuine and impostor pairs"].series)
    threshold = scores.pop("equal error")
    assert threshold.x == (found.metrics["face/threshold"],) * 2
    assert set(scores) == {"genuine", "impostor"}
    for curve in scores.values():
        step = curve.x[1] - curve.x[0]
        assert sum(curve.y) * step == pytest.approx(1, abs=1e-6)
    _, table = [b for b in section.blocks if isinstance(b, TableBlock)]
    assert [row[0] for row in table.rows][:3] == ["network", "generic", "branches"]
    (gallery,) = [b for b in section.blocks if isinstance(b, Gallery)]
    assert 1 <= len(gallery.rows) <= 12


def test_failed_probes_stand_beside_their_own_and_the_wrong_gallery_image():
    trained = network()
    split = trained.data.test
    (section,) = Identification().evaluate(trained).sections
    (gallery,) = [b for b in section.blocks if isinstance(b, Gallery)]
    trial = arrange(split, "subject", Identification().gallery)
    portraits = {
        name: split.inputs[i] for name, i in zip(trial.subjects, trial.gallery, strict=True)
    }
    shown_yaws = set()
    for probe, own, rival in gallery.rows:
        labels = dict(part.split(" ") for part in probe.caption.partition(":")[0].split(", "))
        shown_yaws.add(labels["yaw"])
        assert np.array_equal(_pixels(own.png), portraits[labels["subject"]][0])
        wrong = rival.caption.removeprefix("taken for ").partition(":")[0]
        assert wrong != labels["subject"]
        assert np.array_equal(_pixels(rival.png), portraits[wrong][0])
    assert shown_yaws == {str(yaw) for yaw in YAWS}


def _pixels(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def test_a_perfect_match_says_so():
    quiet = attrs.evolve(data(), test=faces(range(6, 14), noise=1))
    found = Identification().evaluate(network(quiet))
    assert found.metrics["face/rank1"] == found.metrics["face/raw-pixels/rank1"] == 1
    assert found.metrics["face/eer"] == pytest.approx(0, abs=1e-3)
    assert "No probe was taken for another subject." in str(found.sections)


def test_inputs_that_are_no_pictures_are_matched_without_a_gallery_of_failures():
    tables = {
        name: attrs.evolve(split, inputs=split.inputs.flatten(1).float())
        for name, split in (("train", data().train), ("test", data().test))
    }
    found = Identification().evaluate(network(attrs.evolve(data(), **tables)))
    assert not [b for b in found.sections[0].blocks if isinstance(b, Gallery)]
    assert "face/rank1" in found.metrics


def test_findings_survive_their_json_form():
    found = Identification().evaluate(pose_network())
    kept = Evaluation(metrics=found.metrics, sections=found.sections)
    text = evaluation_to_json(kept)
    assert evaluation_from_json(text) == kept
    assert json.loads(text)["metrics"]["face/rank1"] == found.metrics["face/rank1"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            Identification(gallery={"yaw": 7}),
            "identification: the label 'yaw' has no value '7'; it has: -90, -45, 0, 45, 90",
        ),
        (
            Identification(task="who"),
            "identification: no task named 'who'; the tasks are identity, pose",
        ),
        (
            Identification(split="validation"),
            "identification: the data has no 'validation' split; it has: train, test",
        ),
        (
            Identification(subject="person"),
            "the data has no label 'person'; it has: expression, subject, yaw",
        ),
        (
            Identification(groups={"half": (30,)}),
            "identification: groups: the label 'yaw' has no value '30'; "
            "it has: -90, -45, 0, 45, 90",
        ),
    ],
)
def test_a_wrong_option_is_named_with_what_there_is(config, message):
    with pytest.raises(DataError) as caught:
        config.evaluate(network())
    assert str(caught.value) == message


def test_a_subject_without_a_gallery_image_is_named():
    test = data().test
    yaw = test.categorical("yaw").values()
    subject = test.categorical("subject").values()
    keep = [i for i in range(len(test)) if not (subject[i] == "9" and yaw[i] == "0")]
    with pytest.raises(DataError) as caught:
        arrange(test.subset(torch.tensor(keep)), "subject", Identification().gallery)
    assert str(caught.value) == (
        "identification: 1 of 8 subjects have no gallery image (yaw 0, expression neutral), "
        "such as '9'; change the option `gallery`"
    )


def test_one_subject_or_no_probe_is_no_trial():
    with pytest.raises(DataError, match="got 1 subjects and 9 probes, expected two"):
        arrange(faces(range(1)), "subject", {"yaw": 0})
    alone = faces(range(3))
    gallery = arrange(alone, "subject", Identification().gallery).gallery
    with pytest.raises(DataError, match="got 3 subjects and 0 probes"):
        arrange(alone.subset(gallery), "subject", {})


def test_probes_and_gallery_divide_the_labelled_images():
    split = faces(range(4))
    trial = arrange(split, "subject", {"yaw": 0, "expression": "neutral"})
    together = sorted(trial.gallery.tolist() + trial.probes.tolist())
    assert together == list(range(len(split)))
    subject = split.categorical("subject").values()
    mates = [trial.subjects[i] for i in trial.mates.tolist()]
    assert mates == [subject[i] for i in trial.probes.tolist()]


@pytest.mark.parametrize("build", [network, pose_network])
def test_mirrored_templates_are_the_normalized_sum_over_both_images(build):
    trained = build()
    split = trained.data.test
    metrics = Identification(mirror=True).evaluate(trained).metrics
    flipped = attrs.evolve(split, inputs=split.inputs.flip(-1))
    parts = [
        template(p.outputs["identity"], p.branches.get("identity"))
        for p in (trained.predict(split), trained.predict(flipped))
    ]
    ranks = brute_force_ranks((parts[0] + parts[1]).double().numpy(), split)
    expected = np.mean([rank == 1 for rank in ranks.values()])
    assert metrics["face/mirrored/rank1"] == pytest.approx(expected)
    plain = Identification().evaluate(trained).metrics
    assert "face/mirrored/rank1" not in plain
    assert metrics["face/rank1"] == plain["face/rank1"]
