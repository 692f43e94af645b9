"""Thresholds from the user's own pairs: their rates, where they hold, and what is refused."""

import csv
import shutil

import numpy as np
import pytest
from mtlkit_face.inference import embed_files, open_model, read_pairs, threshold_of
from mtlkit_face.inference.calibrate import pair_scores
from mtlkit_face.metrics.calibration import calibrate

from mtlkit.plugins import DataError
from mtlkit.runs import read_json, write_json


def scored(people=30, images=4, seed=0):
    """Cosines of noisy images of people in eight dimensions, so that a person shifts many pairs."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), images)
    image = random.normal(size=(people, 8))[person] + random.normal(size=(len(person), 8)) / 2
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    one, other = np.triu_indices(len(person), 1)
    return (image[one] * image[other]).sum(1), person[one], person[other]


def test_the_threshold_is_the_lowest_within_the_rate():
    score, first, second = scored()
    result = calibrate(score, first, second, 0.01, replicates=200)
    impostor, genuine = score[first != second], score[first == second]
    assert result.fmr == (impostor >= result.threshold).mean() <= 0.01
    assert result.fnmr == pytest.approx((genuine < result.threshold).mean())
    lower = score[score < result.threshold].max()
    assert (impostor >= lower).mean() > 0.01
    assert (result.people, result.replicates) == (30, 200)


def test_the_interval_is_that_of_the_spread_over_new_people():
    thresholds = [calibrate(*scored(seed=s), 0.02, replicates=100).threshold for s in range(30)]
    result = calibrate(*scored(seed=100), 0.02, replicates=400)
    low, high = result.threshold_interval
    inside = np.mean([(low <= threshold <= high) for threshold in thresholds])
    assert inside >= 0.9
    width = np.quantile(thresholds, 0.975) - np.quantile(thresholds, 0.025)
    assert 1 < (high - low) / width < 3  # the product of two draws is conservative
    for (least, most), rate in (
        (result.fmr_interval, result.fmr),
        (result.fnmr_interval, result.fnmr),
    ):
        assert least <= rate <= most


def test_too_few_pairs_are_refused():
    score, first, second = scored(people=4, images=2)
    with pytest.raises(ValueError, match=r"24 impostor pairs, too few .* at least 100, or state"):
        calibrate(score, first, second, 0.01)
    with pytest.raises(ValueError, match="4 genuine and 0 impostor pairs, expected both kinds"):
        calibrate(score[first == second], first[first == second], second[first == second], 0.01)


@pytest.fixture
def run(runs, tmp_path):
    return shutil.copytree(runs["p"], tmp_path / "run")


def test_calibrate_saves_a_threshold_that_verify_uses(face, run, people):
    code, output = face("calibrate", run, people, "--fmr", 0.05, "--replicates", 100)
    assert code == 0, output
    pairs = read_pairs(people)
    model = open_model(run)
    score = pair_scores(embed_files(model, pairs.files).templates, pairs)
    same = pairs.person[pairs.first] == pairs.person[pairs.second]
    assert (same.sum(), (~same).sum()) == (8 * 15, 48 * 47 // 2 - 8 * 15)
    saved = threshold_of(model)
    assert (score[~same] >= saved.value).mean() == saved.fmr <= 0.05
    assert saved.domain.impostor.count == (~same).sum()
    assert saved.domain.genuine.mean == pytest.approx(score[same].mean())
    assert saved.domain.people == 8
    assert "120 genuine and 1,008 impostor pairs of 8 people" in output
    assert "Intervals by 100 bootstrap replicates over 8 people" in output
    page = (run / "calibration/report.html").read_text()
    assert "DET: calibration" in page
    assert "Scores of genuine and impostor pairs" in page
    a, b = people / "p0/0_0_neutral.png", people / "p1/1_0_neutral.png"
    _, output = face("verify", run, a, b)
    assert f"threshold {saved.value:.4f} (false match rate" in output
    assert "warning" not in output


def test_images_from_elsewhere_are_warned_of(face, run, people, tmp_path):
    elsewhere = shutil.copytree(people / "p0", tmp_path / "elsewhere/p0")
    inside, outside = people / "p0/0_0_neutral.png", elsewhere / "0_0_neutral.png"
    _, output = face("verify", run, inside, outside)
    assert (
        f"warning: 1 of 2 images, such as {outside}, come from elsewhere than the threshold"
        in output
    )
    assert f"(Images {people.resolve()}, 2" in output  # and a date
    gallery = tmp_path / "people.parquet"
    assert face("enroll", run, gallery, people)[0] == 0
    _, output = face("identify", run, gallery, elsewhere)
    assert "warning: 6 of 6 images" in output
    assert "warning" not in face("verify", run, inside, outside, "--threshold", 0.5)[1]
    face("calibrate", run, people, "--fmr", 0.05, "--replicates", 100)
    assert "warning: 1 of 2 images" in face("verify", run, inside, outside)[1]
    covers = ("--covers", elsewhere)
    face("calibrate", run, people, "--fmr", 0.05, "--replicates", 100, *covers)
    assert "warning" not in face("verify", run, inside, outside)[1]


def test_impostors_that_reach_a_threshold_are_warned_of(face, run, people, tmp_path):
    gallery = tmp_path / "people.parquet"
    face("enroll", run, gallery, people)
    assert face("calibrate", run, people, "--fmr", 0.05, "--replicates", 100)[0] == 0
    assert "warning" not in face("identify", run, gallery, people)[1]
    path = run / "face-thresholds.json"
    saved = read_json(path)
    for entry in saved["thresholds"].values():
        entry["value"] -= 0.6  # as if measured where scores are lower
    write_json(path, saved)
    _, output = face("identify", run, gallery, people)
    assert "comparisons with people other than the best candidate reach the threshold" in output
    assert "against 5.0% where it was measured" in output


def write_table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_tables_of_pairs(tmp_path, people):
    shutil.copytree(people, tmp_path / "p")
    images = [f"p/p{s}/{s}_{yaw}_neutral.png" for s in (0, 1) for yaw in (0, 45)]
    rows = [("a0", 0, 1, 1), ("a0", 2, 3, 1), ("a0", 0, 2, 0), ("a0", 1, 3, 0)]
    same = [("file_a", "file_b", "same")]
    same += [(images[i], f"p/../{images[j]}", kind) for _, i, j, kind in rows]
    write_table(tmp_path / "same.csv", same)
    result = read_pairs(tmp_path / "same.csv")
    assert result.files == tuple(tmp_path / images[i] for i in (0, 2, 1, 3))  # as they appear
    assert result.folder == (tmp_path / "p").resolve()
    assert (result.person[result.first] == result.person[result.second]).tolist() == [1, 1, 0, 0]
    named = [("file_a", "file_b", "person_a", "person_b")]
    named += [(images[i], images[j], i // 2, j // 2) for _, i, j, _ in rows]
    write_table(tmp_path / "named.csv", named)
    assert read_pairs(tmp_path / "named.csv").person.tolist() == [0, 1, 0, 1]
    kept = result.among([result.files[3], result.files[2]])
    assert (kept.first.tolist(), kept.second.tolist()) == ([1], [0])  # images 1 and 3
    assert kept.person.tolist() == [result.person[3], result.person[2]]
    for head, row, message in (
        (same[0], (images[0], images[3], 0), None),
        (same[0], (images[0], images[1], 0), "same: got 0, but genuine pairs of the table connect"),
        (same[0], (images[0], images[1], "x"), "same: got 'x', expected 1 or 0"),
        (same[0], (images[0], "", 1), "the column 'file_b' is empty, expected an image"),
        (named[0], (images[0], images[3], 0, 0), "another person in this image"),
        (("file_a", "b"), ("x", "y"), "expected file_a, file_b, and either"),
    ):
        body = {3: same[1:], 4: named[1:], 2: []}[len(head)]
        write_table(tmp_path / "t.csv", [head, *body, row])
        if message is None:
            assert len(read_pairs(tmp_path / "t.csv")) == 5
            continue
        with pytest.raises(DataError, match=message):
            read_pairs(tmp_path / "t.csv")


def test_a_threshold_of_another_preprocessing_is_refused(face, run, people):
    face("calibrate", run, people, "--fmr", 0.05, "--replicates", 100)
    path = run / "face-thresholds.json"
    saved = read_json(path)
    for entry in saved["thresholds"].values():
        entry["domain"]["preprocessing"] = "0" * 64
    write_json(path, saved)
    with pytest.raises(DataError, match="with another preprocessing"):
        threshold_of(open_model(run))
