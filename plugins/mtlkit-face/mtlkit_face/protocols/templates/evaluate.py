"""The work of IJB-A: read the splits, embed each picture once, pool, compare, search, and show."""

from functools import partial

import attrs
import numpy as np
import torch

from mtlkit.errors import DataError
from mtlkit.model import MultiTaskModel
from mtlkit.ops import match_scores
from mtlkit.report.blocks import Block, Text
from mtlkit_face.data.text_file import read_lines
from mtlkit_face.metrics.cmc import search
from mtlkit_face.metrics.roc import Floats, roc
from mtlkit_face.protocols.curves import cmc, mean_curve, roc_and_det
from mtlkit_face.protocols.embedding import Embedder, refusal
from mtlkit_face.protocols.listed_files import Tree
from mtlkit_face.protocols.options import IjbA, Mode, Progress
from mtlkit_face.protocols.pictures import Picture
from mtlkit_face.protocols.report_blocks import facts, tables, worst_errors
from mtlkit_face.protocols.result import Measure, Outcome, Result
from mtlkit_face.protocols.rules import RULES, matching
from mtlkit_face.protocols.templates.ijb_a_lists import SplitTables, TemplateRows, read_splits
from mtlkit_face.protocols.templates.measures import SplitScores, split_measures
from mtlkit_face.protocols.templates.media import ALIASES, Sightings
from mtlkit_face.protocols.templates.pooling import POOLINGS, Pooling, Rows
from mtlkit_face.protocols.templates.template_store import TemplateStore, store_templates


@attrs.frozen(eq=False, kw_only=True)
class Looked:
    """The splits, their pictures, and which of these (N,) are known to be well aligned."""

    splits: list[SplitTables]
    sightings: Sightings
    well: frozenset[int]


def looked_at_ijb_a(config: IjbA) -> Looked:
    """The set as the mode wants it; `DataError` where it is incomplete."""
    splits = read_splits(config.protocol or config.images)
    if config.mode is Mode.STRICT and len(splits) != config.splits:
        raise DataError(
            f"{config.name}: expected {config.splits} splits, found {len(splits)}. Complete the "
            f"set, or for another one say its `splits`, or set `mode: compatible`"
        )
    rows = (row for split in splits for row in split.sightings())
    sightings = Sightings(rows, Tree(config.images, ALIASES), config.margin)
    missing = {
        each.name: each.fault
        for each in sightings.pictures
        if each.source is None and not each.faceless
    }
    if missing and not config.counts_failures:
        raise DataError(refusal(config.name, missing))
    for split in splits:
        _both_kinds(config, split)
    return Looked(splits=splits, sightings=sightings, well=_well_aligned(config, sightings))


def _both_kinds(config: IjbA, split: SplitTables) -> None:
    """A split needs genuine and impostor comparisons; and a mate for some probe."""
    subjects = {number: each.subject for number, each in split.verify.items()}
    kinds = {subjects[a] == subjects[b] for a, b in split.comparisons.tolist()}
    if len(kinds) < 2:
        raise DataError(
            f"{config.name}: the comparisons of split {split.number} are all "
            f"{'genuine' if True in kinds else 'of impostors'}; expected both"
        )
    gallery = {each.subject for each in split.gallery.values()}
    if not any(each.subject in gallery for each in split.probes.values()):
        raise DataError(
            f"{config.name}: no probe of split {split.number} has its subject in the gallery"
        )


def _well_aligned(config: IjbA, sightings: Sightings) -> frozenset[int]:
    """The pictures of the list `well_aligned`, by the name of the file or of the aligned face."""
    if config.well_aligned is None:
        return frozenset()
    lines = read_lines(config.well_aligned, "a list of well-aligned files", "well_aligned")
    listed = {line.strip() for line in lines if line.strip()}
    places: dict[str, list[int]] = {}
    for place, picture in enumerate(sightings.pictures):
        for name in _names(picture):
            places.setdefault(name, []).append(place)
    unknown = sorted(listed - places.keys())
    if unknown:
        raise DataError(
            f"{config.well_aligned}: {len(unknown)} lines name no picture of the set, "
            f"{unknown[0]!r} for one; expected names as `img/7.jpg` or `img/7_345.jpg`"
        )
    return frozenset(place for name in listed for place in places[name])


def _names(picture: Picture) -> tuple[str, ...]:
    """``img/7.jpg``, and of its sighting 345 ``img/7_345.jpg``."""
    file, _, face = picture.name.partition(", ")
    stem, dot, suffix = file.rpartition(".")
    return file, f"{stem}_{face.removeprefix('sighting ')}{dot}{suffix}"


def ijb_a(config: IjbA, model: MultiTaskModel, progress: Progress, weights: str | None) -> Outcome:
    """The outcome of IJB-A for `model`."""
    embedder = Embedder(config, model, progress, weights)
    looked = looked_at_ijb_a(config)
    store = store_templates(looked.sightings.pictures, embedder)
    found = {
        name: [_scored(split, partial(_pooled, looked, store, pooling)) for split in looked.splits]
        for name, pooling in POOLINGS.items()
    }
    results = {
        name: _result(config, looked, embedder, name, scored) for name, scored in found.items()
    }
    main = next(iter(found))
    title = "IJB-A" if config.mode is Mode.STRICT else f"IJB-A ({config.mode.value})"
    curves = {
        name: mean_curve([roc(each.score, each.same) for each in splits])
        for name, splits in found.items()
    }
    searches = {name: [each.search for each in splits] for name, splits in found.items()}
    done = facts(results, embedder) | _pooling_facts(config, looked, found[main])
    heads = (f"tar-at-far/{config.far[0]:g}", f"rank-{config.ranks[0]}")
    return Outcome(
        prefix=config.prefix,
        title=title,
        results=results,
        headlines=tuple(f"{main}/{name}" for name in heads),
        blocks=(
            Text(text=_sentence(results[main], heads)),
            *roc_and_det(curves, title),
            cmc(searches, min(len(split.gallery) for split in looked.splits), title),
            *tables(results, done),
            _errors(config, looked, store, found[main][0], results[main], embedder),
        ),
    )


def _scored(split: SplitTables, pool: "partial[Rows]") -> SplitScores:
    """The scores of a split's comparisons, and its search."""
    numbers = list(split.verify)
    place = {number: i for i, number in enumerate(numbers)}
    rows = np.stack(_even([pool(split.verify[number]) for number in numbers]))
    subjects = np.array([split.verify[number].subject for number in numbers])
    first, second = (
        np.array([place[number] for number in side]) for side in split.comparisons.T.tolist()
    )
    score = np.einsum("pk,pk->p", rows[first], rows[second], dtype=np.float64)
    gallery, probes = (
        np.stack(_even([pool(each) for each in side.values()]))
        for side in (split.gallery, split.probes)
    )
    width = max(gallery.shape[1], probes.shape[1])  # a side that failed whole has one column
    gallery, probes = (np.broadcast_to(r, (len(r), width)) for r in (gallery, probes))
    scores = match_scores(torch.from_numpy(probes.copy()), torch.from_numpy(gallery.copy()))
    of_probes = np.array([each.subject for each in split.probes.values()])
    of_gallery = np.array([each.subject for each in split.gallery.values()])
    return SplitScores(
        score=_known(score),
        first=subjects[first],
        second=subjects[second],
        search=search(_known(scores.double().numpy()), of_probes, of_gallery),
        probe=of_probes,
        failed=int(sum(not np.isfinite(r).all() for side in (rows, gallery, probes) for r in side)),
    )


def _known(scores: Floats) -> Floats:
    """A template that failed matches nothing."""
    return np.where(np.isfinite(scores), scores, -np.inf)


def _even(rows: list[Rows]) -> list[Rows]:
    """Templates that failed, which have one number, as wide as the others."""
    width = max(len(row) for row in rows)
    return [np.broadcast_to(row, (width,)) if len(row) == 1 else row for row in rows]


def _pooled(looked: Looked, store: TemplateStore, pooling: Pooling, rows: TemplateRows) -> Rows:
    """The template (K,) of `rows`, from the pictures that have one; NaN where none has."""
    used = _used(looked, store, rows)
    if not used:
        return np.full(1, np.nan, np.float32)
    return pooling(store.rows[[place for place, _ in used]], [medium for _, medium in used])


def _used(looked: Looked, store: TemplateStore, rows: TemplateRows) -> list[tuple[int, str]]:
    """The pictures of a template with their media: well-aligned ones alone, if there are any."""
    places = [looked.sightings.place(row) for row in rows.sightings]
    there = [(p, m) for p, m in zip(places, rows.media, strict=True) if store.there[p]]
    well = [(place, medium) for place, medium in there if place in looked.well]
    return well or there


def _result(
    config: IjbA, looked: Looked, embedder: Embedder, pooling: str, scored: list[SplitScores]
) -> Result:
    return Result(
        protocol=config.name,
        version=f"{len(looked.splits)} splits, templates by {pooling.replace('-', ' ')}",
        mode=config.mode.value,
        matching=f"pooled templates; pictures by {matching(config)}",
        weights=embedder.weights,
        preprocessing=attrs.evolve(embedder.preprocessing, margin=config.margin),
        n_genuine=sum(int(each.same.sum()) for each in scored),
        n_impostor=sum(int((~each.same).sum()) for each in scored),
        pictures=len(looked.sightings.pictures),
        failures=len(embedder.failed),
        failed=dict(list(embedder.failed.items())[:20]),
        measures=split_measures(scored, config.far, config.ranks, config.fpir, RULES[config.mode]),
    )


def _pooling_facts(config: IjbA, looked: Looked, scored: list[SplitScores]) -> dict[str, str]:
    boxes = "taken as aligned faces"
    if config.margin is not None:
        boxes = f"face boxes of the tables, enlarged by {config.margin:g} of their sides all around"
    well = "not known: all pictures are pooled"
    if config.well_aligned is not None:
        well = f"{len(looked.well):,} pictures; pooled alone where a template has any"
    return {
        "faces": boxes,
        "well-aligned pictures": well,
        "templates without any picture": f"{sum(each.failed for each in scored):,}, which match "
        f"nothing",
    }


def _sentence(result: Result, heads: tuple[str, str]) -> str:
    def one(name: str) -> str:
        m: Measure = result.measures[name]
        return f"{name} is {m.value:.4f} ± {m.deviation:.4f} (deviation over {len(m.folds)} splits)"

    return (
        f"{one(heads[0])} and {one(heads[1])}. Every split is judged apart, and the mean is taken; "
        f"scores of splits are never put together."
    )


def _errors(
    config: IjbA, looked: Looked, store: TemplateStore, scored: SplitScores, result: Result,
    embedder: Embedder,
) -> Block:  # fmt: skip
    """The worst errors of the first split, each template by its first picture."""
    split = looked.splits[0]
    threshold = result.measures[f"tar-at-far/{config.far[0]:g}"].at["threshold/1"]

    def shown(number: int) -> Picture:
        rows = split.verify[number]
        used = _used(looked, store, rows) or [(looked.sightings.place(rows.sightings[0]), "")]
        return looked.sightings.pictures[used[0][0]]

    first, second = ([shown(n) for n in side] for side in split.comparisons.T.tolist())
    right = (scored.score >= threshold) == scored.same
    return worst_errors((first, second), scored.score, scored.same, right, embedder)
