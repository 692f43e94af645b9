"""Baselines in plain PyTorch: the code that these ops replace."""

import math

import torch
import torch.nn.functional as F


def linear_cross_entropy(x, weight, target, reduction="mean"):
    return F.cross_entropy(F.linear(x, weight).float(), target, reduction=reduction)


def heads(x, weights, biases, targets, gate=None):
    """Compute one head after the other, and the gate as one more linear map."""
    parts = zip(weights, biases, targets, strict=True)
    losses = torch.stack([F.cross_entropy(F.linear(x, w, b), t) for w, b, t in parts])
    if gate is None:
        return losses.mean()
    return (losses * F.linear(x, *gate).softmax(dim=1).mean(dim=0)).sum()


def sort_and_slice(x, weights, target, group):
    """Sort rows by group, and slice them for each head."""
    order = torch.argsort(group)
    rows, labels = x[order], target[order]
    total, start = 0.0, 0
    for weight, count in zip(weights, torch.bincount(group, minlength=len(weights)).tolist(),
                             strict=True):  # fmt: skip
        if count:
            logits = F.linear(rows[start : start + count], weight)
            total = total + F.cross_entropy(logits, labels[start : start + count], reduction="sum")
        start += count
    return total / len(x)


def compute_all(x, weights, target, group):
    """Compute every head on every row, and select afterwards."""
    logits = torch.stack([F.linear(x, weight) for weight in weights], dim=1)
    return F.cross_entropy(logits[torch.arange(len(x), device=x.device), group], target)


def arcface(x, weight, target, scale=64.0, angle=0.5):
    """Apply the margin on the whole matrix, and a one-hot choice: the form of most repositories."""
    cosine = F.linear(F.normalize(x), F.normalize(weight)).clamp(-1, 1)
    sine = (1 - cosine.square()).clamp_min(1e-12).sqrt()
    moved = cosine * math.cos(angle) - sine * math.sin(angle)
    moved = torch.where(cosine > math.cos(math.pi - angle), moved, cosine - angle * math.sin(angle))
    hot = torch.zeros_like(cosine).scatter_(1, target[:, None], 1.0)
    return F.cross_entropy(scale * (hot * moved + (1 - hot) * cosine), target)


def arcface_gathered(x, weight, target, scale=64.0, angle=0.5):
    """Apply the margin on the target's cosine alone, as insightface's losses do since 2022."""
    cosine = F.linear(F.normalize(x), F.normalize(weight)).clamp(-1, 1)
    cos_t = cosine.gather(1, target[:, None])
    moved = cos_t * math.cos(angle) - (1 - cos_t.square()).clamp_min(1e-12).sqrt() * math.sin(angle)
    moved = torch.where(cos_t > math.cos(math.pi - angle), moved, cos_t - angle * math.sin(angle))
    return F.cross_entropy(scale * cosine.scatter(1, target[:, None], moved), target)


def partial_fc(x, weight, target, samples, scale=64.0, angle=0.5):
    """Compute insightface's Partial FC in one process: positives, random negatives, a margin."""
    chance = torch.rand(len(weight), device=weight.device)
    chance[target] = 2.0
    classes = chance.topk(samples).indices.sort().values
    return arcface_gathered(x, weight[classes], torch.searchsorted(classes, target), scale, angle)
