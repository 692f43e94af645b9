"""IJB-A as an evaluator: embed each picture once, pool, compare, search, and report."""

from functools import partial
from pathlib import Path

import attrs
import numpy as np

from mtlkit.plugins import (
    DataError,
    MultiTaskModel,
    above,
    at_least,
    at_least_number,
    each,
    optional,
)
from mtlkit.report import Block, Text
from mtlkit_face.data.input_files import read_lines
from mtlkit_face.metrics.charts import RANKS, cmc_chart, roc_and_det
from mtlkit_face.metrics.rank import identification_rate
from mtlkit_face.metrics.roc import mean_curve, roc
from mtlkit_face.protocols.embedding import ImageEmbedder, refusal
from mtlkit_face.protocols.listed_files import Tree
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pictures import FaceImage
from mtlkit_face.protocols.protocol import Progress, Protocol, silence
from mtlkit_face.protocols.report_blocks import facts, tables, worst_errors
from mtlkit_face.protocols.result import Measure, ProtocolReport, ProtocolResult
from mtlkit_face.protocols.rules import RULES, matching
from mtlkit_face.protocols.templates.ijb_a_tables import SplitTables, read_splits
from mtlkit_face.protocols.templates.measures import SplitScores, split_measures
from mtlkit_face.protocols.templates.media import ALIASES, Sightings
from mtlkit_face.protocols.templates.pooling import POOLINGS
from mtlkit_face.protocols.templates.template_set import TemplateSet, score_split
from mtlkit_face.protocols.templates.template_store import TemplateStore, store_templates


@attrs.frozen(kw_only=True)
class IjbA(Protocol):
    """IJB-A: templates of many pictures compared one to one and searched for, over ten splits.

    `images` holds `img` and `frame`; `protocol` the folders `IJB-A_11_sets` and `IJB-A_1N_sets`,
    by default `images`. Relative paths start from the working directory. With `margin` the face
    boxes, enlarged by so much of their sides, are cut out of the pictures; None takes the pictures
    as aligned faces, each named as the list says or, where one picture shows several people, with
    its sighting behind the name: `img/7.jpg`, `img/7_345.jpg`. `well_aligned` is a list of files,
    one a line: a template that has any of them is made of those alone. The strict mode expects
    `splits` splits.

    >>> IjbA(images=Path("ijb-a")).fpir
    (0.1, 0.01)
    """

    images: Path
    protocol: Path | None = None
    margin: float | None = attrs.field(default=None, validator=optional(at_least_number(0)))
    well_aligned: Path | None = None
    splits: int = attrs.field(default=10, validator=at_least(1))
    far: tuple[float, ...] = attrs.field(default=(0.01, 0.001), validator=each(above(0)))
    fpir: tuple[float, ...] = attrs.field(default=(0.1, 0.01), validator=each(above(0)))
    ranks: tuple[int, ...] = attrs.field(default=(1, 5), validator=each(at_least(1)))

    @property
    def name(self) -> str:
        return "ijb-a"

    def look(self) -> None:
        self.template_set()

    def template_set(self) -> TemplateSet:
        """The set as the mode wants it; `DataError` where it is incomplete."""
        splits = read_splits(self.protocol or self.images)
        if self.mode is Mode.STRICT and len(splits) != self.splits:
            raise DataError(
                f"{self.name}: expected {self.splits} splits, found {len(splits)}. Complete the "
                f"set, or for another one say its `splits`, or set `mode: compatible`"
            )
        rows = (row for split in splits for row in split.sightings())
        sightings = Sightings(rows, Tree(self.images, ALIASES), self.margin)
        missing = {
            each.name: each.fault
            for each in sightings.pictures
            if each.source is None and not each.faceless
        }
        if missing and not self.counts_failures:
            raise DataError(refusal(self.name, missing))
        for split in splits:
            _both_kinds(self, split)
        well = _well_aligned(self.well_aligned, sightings)
        return TemplateSet(splits=splits, sightings=sightings, well=well)

    def outcome(
        self,
        model: MultiTaskModel,
        progress: Progress = silence,
        weights: str | None = None,
    ) -> ProtocolReport:
        embedder = ImageEmbedder(self, model, progress, weights)
        templates = self.template_set()
        store = store_templates(templates.sightings.pictures, embedder)
        found = {
            name: [
                score_split(split, partial(templates.pooled, store, pooling))
                for split in templates.splits
            ]
            for name, pooling in POOLINGS.items()
        }
        results = {
            name: self._result(templates, embedder, name, scored) for name, scored in found.items()
        }
        main = next(iter(found))
        title = "IJB-A" if self.mode is Mode.STRICT else f"IJB-A ({self.mode.value})"
        curves = {
            name: mean_curve([roc(each.score, each.same) for each in splits])
            for name, splits in found.items()
        }
        persons = min(len(split.gallery) for split in templates.splits)
        rates = {
            name: [
                float(np.mean([identification_rate(each.search.rank, rank) for each in splits]))
                for rank in range(1, min(RANKS, persons) + 1)
            ]
            for name, splits in found.items()
        }
        done = facts(results, embedder) | self._pooling_facts(templates, found[main])
        threshold = results[main].measures[f"tar-at-far/{self.far[0]:g}"].at["threshold/1"]
        heads = (f"tar-at-far/{self.far[0]:g}", f"rank-{self.ranks[0]}")
        return ProtocolReport(
            prefix=self.prefix,
            title=title,
            results=results,
            headlines=tuple(f"{main}/{name}" for name in heads),
            blocks=(
                Text(text=_sentence(results[main], heads)),
                *roc_and_det(curves, title),
                cmc_chart(rates, f"CMC: {title}"),
                *tables(results, done),
                _worst_errors(templates, store, found[main][0], threshold, embedder),
            ),
        )

    def _result(
        self,
        templates: TemplateSet,
        embedder: ImageEmbedder,
        pooling: str,
        scored: list[SplitScores],
    ) -> ProtocolResult:
        return ProtocolResult(
            protocol=self.name,
            version=f"{len(templates.splits)} splits, templates by {pooling.replace('-', ' ')}",
            mode=self.mode.value,
            matching=f"pooled templates; pictures by {matching(self.mode, self.mirror)}",
            weights=embedder.weights,
            preprocessing=attrs.evolve(embedder.preprocessing, margin=self.margin),
            n_genuine=sum(int(each.same.sum()) for each in scored),
            n_impostor=sum(int((~each.same).sum()) for each in scored),
            pictures=len(templates.sightings.pictures),
            failures=len(embedder.failed),
            failed=dict(list(embedder.failed.items())[:20]),
            measures=split_measures(scored, self.far, self.ranks, self.fpir, RULES[self.mode]),
        )

    def _pooling_facts(self, templates: TemplateSet, scored: list[SplitScores]) -> dict[str, str]:
        boxes = "taken as aligned faces"
        if self.margin is not None:
            boxes = (
                f"face boxes of the tables, enlarged by {self.margin:g} of their sides all around"
            )
        well = "not known: all pictures are pooled"
        if self.well_aligned is not None:
            well = f"{len(templates.well):,} pictures; pooled alone where a template has any"
        empty = sum(each.failed for each in scored)
        return {
            "faces": boxes,
            "well-aligned pictures": well,
            "templates without any picture": f"{empty:,}, which match nothing",
        }


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


def _well_aligned(path: Path | None, sightings: Sightings) -> frozenset[int]:
    """The pictures of the list `well_aligned`, by the name of the file or of the aligned face."""
    if path is None:
        return frozenset()
    lines = read_lines(path, "a list of well-aligned files", "well_aligned")
    listed = {line.strip() for line in lines if line.strip()}
    places: dict[str, list[int]] = {}
    for place, picture in enumerate(sightings.pictures):
        for name in _names(picture):
            places.setdefault(name, []).append(place)
    unknown = sorted(listed - places.keys())
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} lines name no picture of the set, "
            f"{unknown[0]!r} for one; expected names as `img/7.jpg` or `img/7_345.jpg`"
        )
    return frozenset(place for name in listed for place in places[name])


def _names(picture: FaceImage) -> tuple[str, ...]:
    """``img/7.jpg``, and of its sighting 345 ``img/7_345.jpg``."""
    file, _, face = picture.name.partition(", ")
    stem, dot, suffix = file.rpartition(".")
    return file, f"{stem}_{face.removeprefix('sighting ')}{dot}{suffix}"


def _sentence(result: ProtocolResult, heads: tuple[str, str]) -> str:
    def one(name: str) -> str:
        m: Measure = result.measures[name]
        return f"{name} is {m.value:.4f} ± {m.deviation:.4f} (deviation over {len(m.folds)} splits)"

    return (
        f"{one(heads[0])} and {one(heads[1])}. Every split is judged apart, and the mean is taken; "
        f"scores of splits are never put together."
    )


def _worst_errors(
    templates: TemplateSet, store: TemplateStore, scored: SplitScores, threshold: float,
    embedder: ImageEmbedder,
) -> Block:  # fmt: skip
    """The worst errors of the first split, each template by its first picture."""
    split = templates.splits[0]

    def shown(number: int) -> FaceImage:
        rows = split.verify[number]
        used = templates.used(store, rows)
        place = used[0][0] if used else templates.sightings.place(rows.sightings[0])
        return templates.sightings.pictures[place]

    first, second = ([shown(n) for n in side] for side in split.comparisons.T.tolist())
    right = (scored.score >= threshold) == scored.same
    return worst_errors((first, second), scored.score, scored.same, right, embedder)
