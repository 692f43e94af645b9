"""Simple predictors on the same training and test samples as the networks.

`scenes`: the most common class, the median depth and the mean normal of each pixel of the training
images. `tox21`: a logistic regression of the bits for each assay. `utkface`: ridge and logistic
regression of 100 principal components of the pixels. `ud`: the most common label of the word, or
for an unknown word that of its ending.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import confusion_matrix, roc_auc_score

from mtlkit.data import Data, Split

Metrics = dict[str, float]


def scenes(data: Data) -> Metrics:
    train, test = (columns_of(split) for split in (data.train, data.test))
    names = data.train.columns["classes"].target.names
    counts = np.stack([(train["classes"] == code).sum(0) for code in range(len(names))])
    guess = np.broadcast_to(counts.argmax(0), test["classes"].shape)
    matrix = confusion_matrix(test["classes"].ravel(), guess.ravel(), labels=range(len(names)))
    both = np.diag(matrix)
    iou = both / (matrix.sum(0) + matrix.sum(1) - both)
    normal = train["normals"].mean(0)
    normal /= np.linalg.norm(normal, axis=0)
    cosine = (normal * test["normals"]).sum(1).clip(-1, 1)
    depth = np.abs(np.median(train["depth"], axis=0) - test["depth"])
    return {
        "classes/mean-iou": iou.mean(),
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
    pixels = [
        split.inputs.numpy().reshape(len(split), -1) / 255 for split in (data.train, data.test)
    ]
    components = PCA(100, random_state=0).fit(pixels[0])
    x, z = (components.transform(values) for values in pixels)
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
    "scenes": scenes,
    "tox21": tox21,
    "utkface": utkface,
    "ud": ud,
}
