"""Evaluators end to end: scores, mirror images, failures, results and reports."""

import io
import json
import math

import attrs
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs.cfp import CFP, Faces
from mtlkit_face.protocols.pairs.lfw import LFW, read_lfw
from mtlkit_face.protocols.pairs.scores import score_parts
from mtlkit_face.protocols.pairs.verification_bin import VerificationBin
from mtlkit_face.protocols.pictures import FaceImage, decode_picture
from mtlkit_face.protocols.protocol import no_progress
from mtlkit_face.protocols.score_file import scores_to_parquet
from mtlkit_face.protocols.templates.ijb_a import IJBA
from PIL import Image

from mtlkit import Role, Task
from mtlkit.assembly import Assembly
from mtlkit.backbones import MLP
from mtlkit.data import BoxRegion, ClassTarget, Frame, InputSpec
from mtlkit.model import assemble
from mtlkit.plugins import DataError
from mtlkit.routers import BranchSelection, Grouped


@pytest.fixture
def lfw(sets):
    return LFW(images=sets / "lfw", fold_count=2, fold_pairs=2, replicates=50)


def every(sets, **options):
    options.setdefault("replicates", 50)
    return {
        "lfw": LFW(images=sets / "lfw", fold_count=2, fold_pairs=2, **options),
        "cfp": CFP(images=sets / "cfp", fold_count=2, fold_pairs=2, **options),
        "bin": VerificationBin(file=sets / "pairs.bin", fold_count=2, **options),
        "ijb-a": IJBA(images=sets / "ijb-a/aligned", protocol=sets / "ijb-a", splits=2, **options),
    }


def decode(picture, shape):
    return decode_picture(picture, Frame(*shape[1:], shape[0], crop=1.0, reduce=True))


def score_pairs(pairs, embedder):
    return score_parts({"": pairs}, embedder)[""]


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_score_is_the_mean_of_four_cosines(lfw, model):
    """Yin & Liu (TIP 2018): (picture, mirror image) with (picture, mirror image)."""
    pairs = read_lfw(lfw.images)
    score = score_pairs(pairs, ImageEmbedder(lfw, model, no_progress))
    for index in range(len(pairs)):
        both = []
        for side in (pairs.first, pairs.second):
            pixels = decode(pairs.pictures[side[index]], (1, 8, 8)).pixels.astype(float)
            both.append([x.ravel() - x.mean() for x in (pixels, pixels[:, :, ::-1])])
        expected = np.mean([cosine(a, b) for a in both[0] for b in both[1]])
        assert score[index] == pytest.approx(expected, abs=1e-5)


def test_compatible_normalizes_the_sum_again(lfw, model):
    pairs = read_lfw(lfw.images)
    compatible = attrs.evolve(lfw, mode=Mode.COMPATIBLE)
    strict, again = (
        score_pairs(pairs, ImageEmbedder(c, model, no_progress)) for c in (lfw, compatible)
    )
    image = torch.from_numpy(decode(pairs.pictures[0], (1, 8, 8)).pixels.copy())[None]
    assert ImageEmbedder(compatible, model, no_progress).embed(image).norm() == pytest.approx(1)
    assert ImageEmbedder(lfw, model, no_progress).embed(image).norm() < 0.999
    assert (np.abs(again) >= np.abs(strict)).all()


def test_without_mirror_images_it_is_the_plain_cosine(lfw, model):
    pairs = read_lfw(lfw.images)
    plain = attrs.evolve(lfw, mirror=False)
    score = score_pairs(pairs, ImageEmbedder(plain, model, no_progress))
    pixels = [
        decode(pairs.pictures[side[0]], (1, 8, 8)).pixels.astype(float).ravel()
        for side in (pairs.first, pairs.second)
    ]
    assert score[0] == pytest.approx(cosine(*(x - x.mean() for x in pixels)), abs=1e-5)


def test_the_template_of_branches_is_that_of_equation_12(lfw):
    """The mean over mirror images of eq. 12's templates has the mean of the four scores."""
    shape = (1, 8, 8)
    tasks = {"identity": Task(role=Role.MAIN), "pose": Task()}
    names = {"identity": ("a", "b", "c"), "pose": ("-45", "0", "45")}
    targets = {task: ClassTarget(names=classes) for task, classes in names.items()}
    grouping = Grouped(task="identity", by="pose",
                       groups={"left": (-45,), "front": (0,), "right": (45,)})  # fmt: skip
    torch.manual_seed(0)
    spec = InputSpec(shape=shape, mean=(127.5,), std=(128.0,))
    assembly = Assembly(inputs=spec, targets=targets)
    model = assemble(MLP(hidden=(16,)), grouping, tasks, assembly).eval()
    images = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    mean = ImageEmbedder(lfw, model, no_progress).embed(images)
    with torch.no_grad():
        views = [model(images), model(images.flip(-1))]

    def eq12(one, other):
        scores = []
        for a, b in ((one, 0), (other, 1)):
            output = a.branches["identity"]
            unit = output.logits[b] / output.logits[b].norm(dim=-1, keepdim=True)
            generic = a.outputs["identity"][b]
            scores.append((generic / generic.norm(), unit, output.probability[b]))
        (g, u, p), (h, v, q) = scores
        return float(g @ h / 2 + (p[:, None] * q[None] * (u @ v.T)).sum() / 2)

    expected = np.mean([eq12(a, b) for a in views for b in views])
    assert float(mean[0] @ mean[1]) == pytest.approx(expected, abs=1e-5)
    label = assemble(
        MLP(hidden=(16,)), attrs.evolve(grouping, test=BranchSelection.LABEL), tasks, assembly
    )
    with pytest.raises(
        DataError, match=r"evaluate a run whose recipe has `router\.test: expected`"
    ):
        ImageEmbedder(lfw, label, no_progress).embed(images)


@pytest.mark.parametrize("name", ["lfw", "cfp", "bin", "ijb-a"])
@pytest.mark.parametrize("mode", Mode)
def test_a_result_has_its_setup_and_measures(sets, model, name, mode):
    outcome = every(sets, mode=mode)[name].outcome(model, weights="5ha256")
    content = json.loads(outcome.to_json())
    assert content["format"] == 1
    for result in content["results"]:
        assert result["mode"] == mode.value
        assert result["n_genuine"] > 0
        assert result["n_impostor"] > 0
        assert result["failures"] == 0
        assert result["version"]
        assert "cosine" in result["matching"]
        assert result["weights"] == "5ha256"
        assert result["preprocessing"] == {
            "shape": [1, 8, 8], "mean": [127.5], "std": [128.0], "margin": None,
            "crop": 1.0, "standardize": False,
        }  # fmt: skip
        for key, measure in result["measures"].items():
            assert measure["interval"].startswith("bootstrap over ")
            if "tar-at-far" in key:
                kept = {k.partition("/")[0] for k in measure["at"]}
                assert {"threshold", "achieved-far", "impostors"} <= kept
            if key == "accuracy":
                assert {"threshold/1", "threshold/2", "wilson-low"} <= set(measure["at"])
    evaluated = outcome.evaluation_result()
    assert all(metric.startswith(outcome.prefix + "/") for metric in evaluated.metrics)
    assert set(evaluated.headlines) <= set(evaluated.metrics)
    kinds = [type(block).__name__ for block in evaluated.sections[0].blocks]
    assert {"Text", "Chart", "TableBlock"} <= set(kinds)
    titles = [b.title for b in evaluated.sections[0].blocks if type(b).__name__ == "Chart"]
    assert [title.partition(":")[0] for title in titles][:1] == ["ROC"]
    assert any(title.startswith("CMC") for title in titles) == (name == "ijb-a")
    tables = [b for b in evaluated.sections[0].blocks if type(b).__name__ == "TableBlock"]
    facts = dict(next(b.rows for b in tables if b.caption == "Setup."))
    assert "assumed to be aligned" in facts["alignment"]
    assert "resized (32 x 32)" in facts["size"]
    assert facts["weights, SHA-256"] == "5ha256"
    assert facts["preprocessing"] == "gray, 8 x 8, (pixel - 127.5) / 128"


def test_the_margin_of_cropped_faces_is_in_the_result(sets, model):
    protocol = IJBA(images=sets / "ijb-a", margin=0.25, splits=2, replicates=50)
    result = protocol.outcome(model).results["media-mean"]
    assert result.weights is None  # the model has no file
    assert result.preprocessing.margin == 0.25
    assert str(result.preprocessing).startswith("face boxes with a margin of 0.25, gray")
    inputs = attrs.evolve(model.assembly.inputs, standardize=True)
    model.assembly = attrs.evolve(model.assembly, inputs=inputs)
    preprocessing = ImageEmbedder(protocol, model, no_progress).preprocessing
    assert str(preprocessing).endswith("(pixel - 127.5) / 128, each picture standardized")


def test_a_perfect_model_is_perfect_and_a_blind_one_is_chance(lfw, sets, model):
    class Oracle(type(model)):
        """Recognizes a person by the row that the test paints."""

    pairs = read_lfw(lfw.images)
    for picture, person in zip(pairs.pictures, pairs.person, strict=True):
        pixels = np.zeros((32, 32), np.uint8)
        pixels[4 * person : 4 * person + 4] = 255
        Image.fromarray(pixels).save(picture.source)
    result = lfw.outcome(Oracle()).results[""]
    assert result.measures["accuracy"].value == 1
    assert result.measures["eer"].value == 0
    assert result.measures["auc"].value == 1
    for picture in pairs.pictures:
        Image.fromarray(np.eye(32, dtype=np.uint8) * 200).save(picture.source)
    blind = lfw.outcome(Oracle()).results[""]
    assert blind.measures["auc"].value == 0.5
    assert blind.measures["eer"].value == 0.5
    assert blind.measures["accuracy"].value == 0.5
    assert blind.measures["tar-at-far/0.001"].value == 0


def test_a_failure_is_a_pair_that_does_not_match(lfw, model):
    """The genuine pair is an error, and the impostor pair is rejected correctly."""
    pairs = read_lfw(lfw.images)
    genuine = pairs.pictures[pairs.first[0]]
    genuine.source.unlink()
    counted = attrs.evolve(lfw, count_failures=True)
    result = counted.outcome(model).results[""]
    assert (result.n_genuine, result.n_impostor, result.failures) == (4, 4, 1)
    assert result.failed == {genuine.name: "is missing"}
    score = score_pairs(read_lfw(lfw.images), ImageEmbedder(counted, model, no_progress))
    with_it = (pairs.first == pairs.first[0]) | (pairs.second == pairs.first[0])
    np.testing.assert_array_equal(np.isneginf(score), with_it)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not an image of a supported format"),
        (b"no image", "is not an image of a supported format"),
        (b"HALF", "cannot be read"),
    ],
)
def test_a_picture_that_cannot_be_read_is_named(lfw, model, content, why):
    picture = read_lfw(lfw.images).pictures[0]
    whole = picture.source.read_bytes()
    picture.source.write_bytes(whole[: len(whole) // 3] if content == b"HALF" else content)
    lfw.verify()  # does not decode
    with pytest.raises(DataError, match=f"1 picture cannot be used: {picture.name} {why}"):
        lfw.outcome(model)
    result = attrs.evolve(lfw, count_failures=True).outcome(model).results[""]
    assert result.failures == 1


def test_everything_may_fail(lfw, model, sets):
    for picture in read_lfw(lfw.images).pictures:
        picture.source.unlink()
    result = attrs.evolve(lfw, count_failures=True).outcome(model).results[""]
    assert result.measures["accuracy"].value == 0.5
    assert result.measures["tar-at-far/0.01"].value == 0
    ijb = every(sets, count_failures=True)["ijb-a"]
    for picture in (sets / "ijb-a/aligned").rglob("*.*g"):
        picture.unlink()
    assert ijb.outcome(model).results["media-mean"].measures["rank-5"].value == 0


def test_a_template_that_is_not_finite_is_a_failure(lfw, model):
    with torch.no_grad():
        model.one.fill_(math.nan)
    with pytest.raises(DataError, match="has a template that is not finite"):
        lfw.outcome(model)


def test_memory_does_not_grow_with_the_set(sets, model):
    """Batches have the size of the option, and a `.bin` is matched in chunks."""
    protocol = VerificationBin(file=sets / "pairs.bin", fold_count=2, batch=3, mirror=False)
    protocol.outcome(model)
    assert max(model.batches) == 3
    unique = {picture.source for picture in protocol.read()[""].pictures}
    assert sum(model.batches) == len(unique) < 16
    assert len(protocol.read()[""].pictures) == 16


def test_a_picture_is_embedded_once_for_all_parts(sets, model):
    """Both protocols of CFP have the same frontal pictures."""
    cfp = CFP(images=sets / "cfp", fold_count=2, fold_pairs=2, mirror=False, replicates=50)
    parts = cfp.pair_sets()
    used = {pairs.pictures[i].source for pairs in parts.values() for i in pairs.used()}
    done = []
    outcome = cfp.outcome(model, lambda *progress: done.append(progress))
    assert sum(model.batches) == len(used) < sum(len(pairs.used()) for pairs in parts.values())
    assert done[-1] == (len(used), len(used))
    alone = {
        part: attrs.evolve(cfp, faces=(Faces(part),)).outcome(model).results[part] for part in parts
    }
    for part, result in outcome.results.items():
        for measure, value in result.measures.items():
            assert value.folds == pytest.approx(alone[part].measures[measure].folds)
            assert value.value == pytest.approx(alone[part].measures[measure].value)


def test_a_failure_counts_under_every_name(tmp_path, sets, model):
    """A `.bin` may have one picture several times."""
    protocol = VerificationBin(file=sets / "pairs.bin", fold_count=2, count_failures=True)
    pairs = protocol.read()[""]
    sources = [picture.source for picture in pairs.pictures]
    twice = next(source for source in sources if sources.count(source) > 1)
    pictures = [
        attrs.evolve(picture, source=b"junk") if picture.source == twice else picture
        for picture in pairs.pictures
    ]
    embedder = ImageEmbedder(protocol, model, no_progress)
    score = score_pairs(attrs.evolve(pairs, pictures=pictures), embedder)
    failed = [picture.name for picture in pictures if picture.source == b"junk"]
    assert len(failed) > 1
    assert sorted(embedder.failed) == sorted(failed)
    assert np.isneginf(score).sum() >= len(failed) / 2


def test_some_folds_alone(sets, model, lfw):
    """Their thresholds are those of a set that has no other folds."""
    lines = (sets / "lfw/pairs.txt").read_text().splitlines()
    three = ["3\t2", *lines[1:], *lines[1:5]]
    (sets / "lfw/pairs.txt").write_text("\n".join(three))
    whole = LFW(images=sets / "lfw", fold_count=3, fold_pairs=2, folds=(2, 3))
    outcome = whole.outcome(model)
    chosen = outcome.results[""].measures["accuracy"]
    last = ["2\t2", *three[5:]]
    (sets / "lfw/pairs.txt").write_text("\n".join(last))
    alone = lfw.outcome(model).results[""].measures["accuracy"]
    assert chosen.value == alone.value
    assert chosen.at["threshold/2"] == alone.at["threshold/1"]
    assert chosen.at["threshold/3"] == alone.at["threshold/2"]
    assert "of which the folds 2, 3" in outcome.results[""].version
    assert set(outcome.scores[0].fold) == {2, 3}
    for folds, message in (((2,), "expected two different folds"), ((2, 2), "two different")):
        with pytest.raises(ValueError, match=message):
            LFW(images=sets / "lfw", folds=folds)
    with pytest.raises(DataError, match="folds: got 7, but the set has the folds 1 to 2"):
        attrs.evolve(lfw, folds=(1, 7)).verify()


@pytest.mark.parametrize("name", ["lfw", "cfp", "bin", "ijb-a"])
def test_the_scores_of_all_comparisons(sets, model, name):
    outcome = every(sets)[name].outcome(model)
    table = pq.read_table(io.BytesIO(scores_to_parquet(outcome.scores))).to_pydict()
    assert list(table) == ["part", "fold", "first", "second", "same", "score"]
    for part, result in outcome.results.items():
        rows = [i for i, value in enumerate(table["part"]) if value == part]
        same = np.array([table["same"][i] for i in rows])
        assert (same.sum(), (~same).sum()) == (result.n_genuine, result.n_impostor)
    assert np.isfinite(table["score"]).all()
    assert {*table["fold"]} == {1, 2}


def test_a_model_of_no_pictures_is_refused(lfw, model):
    model.assembly = attrs.evolve(model.assembly, inputs=InputSpec(shape=(7,)))
    with pytest.raises(DataError, match=r"has inputs of shape \(7,\); expected pictures"):
        lfw.outcome(model)
    model.assembly = attrs.evolve(model.assembly, inputs=InputSpec(shape=(1, 8, 8)))
    with pytest.raises(DataError, match="no task named 'who'; the tasks are identity, pose"):
        attrs.evolve(lfw, task="who").outcome(model)


def test_pictures_become_what_the_model_takes(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(path)
    picture = FaceImage(name="a", source=path)
    assert decode(picture, (3, 4, 4)).pixels.shape == (3, 4, 4)
    assert decode(picture, (1, 2, 6)).pixels.shape == (1, 2, 6)
    assert decode(picture, (1, 2, 6)).size == (4, 4)
    part = attrs.evolve(picture, box=BoxRegion(1, 1, 2, 2))
    np.testing.assert_array_equal(
        decode(part, (3, 2, 2)).pixels, decode(picture, (3, 4, 4)).pixels[:, 1:3, 1:3]
    )
    wide = attrs.evolve(picture, box=BoxRegion(0, 0, 4, 2, 0.5))
    assert wide.box.corners(Frame(8, 8, 3)) == (-2, -3, 6, 5)
    padded = decode(wide, (3, 8, 8)).pixels
    np.testing.assert_array_equal(padded[:, 3:7, 2:6], decode(picture, (3, 4, 4)).pixels)
    assert padded[:, :3].sum() == 0
    outside = attrs.evolve(picture, box=BoxRegion(9, 0, 2, 2))
    with pytest.raises(DataError, match="its box lies outside of the 4 x 4 picture"):
        decode(outside, (3, 2, 2))


def test_a_picture_too_large_for_a_face_is_not_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (17_000, 5_000)).save(path)
    with pytest.raises(DataError, match="has 17000 x 5000 pixels, too many for a face"):
        decode(FaceImage(name="a", source=path), (1, 8, 8))


def test_one_part_of_cfp_may_be_selected(sets, model):
    protocol = CFP(images=sets / "cfp", fold_count=2, fold_pairs=2, faces=(Faces.FRONTAL_PROFILE,))
    assert list(protocol.outcome(model).results) == ["frontal-profile"]


def test_modes_have_their_own_names(sets):
    names = [protocol.prefix for mode in Mode for protocol in every(sets, mode=mode).values()]
    assert names == [
        "face/lfw", "face/cfp", "face/verification-bin/pairs", "face/ijb-a",
        "face/lfw/compatible", "face/cfp/compatible", "face/verification-bin/pairs/compatible",
        "face/ijb-a/compatible",
    ]  # fmt: skip
