"""Simple predictors on the same training and test samples as the networks.

`camvid`: the most common class of each pixel, edges where the gray image is steeper than the best
threshold of training, and logistic regressions of 50 principal components. `officecaltech10`: a
logistic regression of the histograms for each domain. `qm9`: extra-trees on histograms of the
distances of pairs of elements. `scenes`: the most common class, the median depth and the mean
normal of each pixel of the training images. `tox21`: a logistic regression of the bits for each
assay. `utkface`: ridge and logistic regression of 100 principal components of the pixels. `ud`: the
most common label of the word, or for an unknown word that of its ending.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mtlkit_benchmarks.camvid import CLASSES
from mtlkit_benchmarks.molecules import ELEMENTS
from mtlkit_benchmarks.office_caltech import DOMAINS
from mtlkit_benchmarks.qm9 import UNITS
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import confusion_matrix, f1_score, r2_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from mtlkit.data import Data, Split

Metrics = dict[str, float]


def camvid(data: Data) -> Metrics:
    train, test = (columns_of(split) for split in (data.train, data.test))
    prior = pixel_prior(train["classes"], len(CLASSES))
    guess = np.broadcast_to(prior, test["classes"].shape)
    slopes = [slope_of(split.inputs) for split in (data.train, data.test)]
    thresholds = np.quantile(slopes[0], np.linspace(0.5, 0.99, 50))
    best = max(thresholds, key=lambda limit: edge_f1(train["edges"], slopes[0] > limit))
    x, z = principal_components(data, 50)
    aurocs = []
    for number in range(len(CLASSES)):
        present, truth = train["presence"][:, number], test["presence"][:, number]
        if len(set(truth)) == 2 and len(set(present)) == 2:
            model = LogisticRegression(max_iter=2000, C=0.1).fit(x, present)
            aurocs.append(roc_auc_score(truth, model.decision_function(z)))
    return {
        "classes/mean-iou": mean_iou(test["classes"], guess, len(CLASSES)),
        "edges/f1": edge_f1(test["edges"], slopes[1] > best),
        "presence/auroc": np.mean(aurocs),
    }


def edge_f1(truth: Any, guess: Any) -> float:
    known = truth >= 0
    return f1_score(truth[known], guess[known].astype(int), average="macro")


def slope_of(images: Any) -> Any:
    gray = images.numpy().mean(axis=1)
    rows, columns = np.gradient(gray, axis=(1, 2))
    return np.hypot(rows, columns)


def pixel_prior(codes: Any, count: int) -> Any:
    return np.stack([(codes == code).sum(0) for code in range(count)]).argmax(0)


def mean_iou(truth: Any, guess: Any, count: int) -> float:
    known = truth >= 0
    matrix = confusion_matrix(truth[known], guess[known], labels=range(count))
    both = np.diag(matrix)
    return float((both / (matrix.sum(0) + matrix.sum(1) - both)).mean())


def principal_components(data: Data, count: int) -> list[Any]:
    pixels = [
        split.inputs.numpy().reshape(len(split), -1) / 255 for split in (data.train, data.test)
    ]
    components = PCA(count, random_state=0).fit(pixels[0])
    return [components.transform(values) for values in pixels]


def officecaltech10(data: Data) -> Metrics:
    train, test = (columns_of(split) for split in (data.train, data.test))
    scale = StandardScaler().fit(data.train.inputs)
    x, z = (scale.transform(split.inputs) for split in (data.train, data.test))
    result = {}
    for name in DOMAINS:
        has, tested = train[name] >= 0, test[name] >= 0
        model = LogisticRegression(C=0.01, max_iter=500).fit(x[has], train[name][has])
        result[f"{name}/accuracy"] = model.score(z[tested], test[name][tested])
    return result


def qm9(data: Data) -> Metrics:
    train, test = (columns_of(split) for split in (data.train, data.test))
    x, z = (distance_histograms(split) for split in (data.train, data.test))
    y = np.stack([train[name] for name in UNITS], axis=1)
    mean, std = y.mean(axis=0), y.std(axis=0)
    trees = ExtraTreesRegressor(100, max_features=0.3, random_state=0).fit(x, (y - mean) / std)
    guess = trees.predict(z) * std + mean
    truth = np.stack([test[name] for name in UNITS], axis=1)
    errors = np.abs(guess - truth).mean(axis=0)
    result = {f"{name}/mae": error for name, error in zip(UNITS, errors, strict=True)}
    return {"mean/r2": r2_score(truth, guess), **result}


def distance_histograms(split: Split) -> Any:
    """Return the numbers of pairs of two elements in ranges of distance, and those of elements."""
    edges = np.array([1.05, 1.15, 1.25, 1.35, 1.45, 1.6, 2, 2.3, 2.6, 3, 4, 5, 6])
    bins, count = len(edges) + 1, len(ELEMENTS)
    rows = []
    for number in range(len(split)):
        molecule = split.inputs[torch.tensor([number])]
        atoms, positions = molecule["atoms"][0].numpy(), molecule["positions"][0].numpy()
        first, second = np.triu_indices(len(atoms), k=1)
        lengths = np.linalg.norm(positions[first] - positions[second], axis=1)
        pair = np.minimum(atoms[first], atoms[second]) * count + np.maximum(
            atoms[first], atoms[second]
        )
        code = pair * bins + np.searchsorted(edges, lengths)
        pairs = np.bincount(code, minlength=count * count * bins)
        rows.append(np.concatenate([np.bincount(atoms, minlength=count), pairs]))
    return np.stack(rows)


def scenes(data: Data) -> Metrics:
    train, test = (columns_of(split) for split in (data.train, data.test))
    names = data.train.columns["classes"].target.names
    prior = pixel_prior(train["classes"], len(names))
    guess = np.broadcast_to(prior, test["classes"].shape)
    normal = train["normals"].mean(0)
    normal /= np.linalg.norm(normal, axis=0)
    cosine = (normal * test["normals"]).sum(1).clip(-1, 1)
    depth = np.abs(np.median(train["depth"], axis=0) - test["depth"])
    return {
        "classes/mean-iou": mean_iou(test["classes"], guess, len(names)),
        "depth/mae": depth.mean(),
        "normals/angle-mean": np.degrees(np.arccos(cosine)).mean(),
    }


def tox21(data: Data) -> Metrics:
    x, z = data.train.inputs.numpy(), data.test.inputs.numpy()
    train, test = columns_of(data.train), columns_of(data.test)
    scores = []
    for name in train:
        if name == "assays":
            continue
        has, tested = train[name] >= 0, test[name] >= 0
        model = LogisticRegression(C=0.1, solver="liblinear").fit(x[has], train[name][has])
        scores.append(roc_auc_score(test[name][tested], model.decision_function(z[tested])))
    return {"mean/auroc": np.mean(scores)}


def utkface(data: Data) -> Metrics:
    train, test = columns_of(data.train), columns_of(data.test)
    x, z = principal_components(data, 100)
    age = Ridge(alpha=1.0).fit(x, train["age"]).predict(z)
    result = {"age/mae": np.abs(age - test["age"]).mean()}
    for name in ("gender", "race"):
        model = LogisticRegression(max_iter=2000, C=0.1).fit(x, train[name])
        result[f"{name}/accuracy"] = model.score(z, test[name])
    return result


def ud(data: Data) -> Metrics:
    train, test = columns_of(data.train), columns_of(data.test)
    result = {}
    for name in ("upos", "deprel"):
        best = {}
        for key in ("ids", "suffixes"):
            ids, labels = data.train.inputs.tensors[key].numpy(), train[name]
            table = np.zeros((ids.max() + 1, labels.max() + 1), int)
            np.add.at(table, (ids[labels >= 0], labels[labels >= 0]), 1)
            best[key] = table.argmax(1)[data.test.inputs.tensors[key].numpy()]
        known = data.test.inputs.tensors["ids"].numpy() != 1
        guess, labels = np.where(known, best["ids"], best["suffixes"]), test[name]
        result[f"{name}/accuracy"] = (guess == labels)[labels >= 0].mean()
    return result


def columns_of(split: Split) -> dict[str, Any]:
    return {name: column.rows.numpy() for name, column in split.columns.items()}


BASELINES: Mapping[str, Callable[[Data], Metrics]] = {
    "camvid": camvid,
    "officecaltech10": officecaltech10,
    "qm9": qm9,
    "scenes": scenes,
    "tox21": tox21,
    "utkface": utkface,
    "ud": ud,
}
