"""The work of the protocols of pairs: read, look, score, judge, and show."""

from collections.abc import Mapping

from mtlkit.errors import DataError
from mtlkit.model import MultiTaskModel
from mtlkit.report.blocks import Block, Text
from mtlkit_face.metrics.fold_accuracy import FoldAccuracy, fold_accuracy
from mtlkit_face.metrics.roc import Floats, Roc, roc
from mtlkit_face.protocols.curves import roc_and_det
from mtlkit_face.protocols.embedding import Embedder, refusal
from mtlkit_face.protocols.options import Cfp, Lfw, Mode, PairProtocol, Progress, VerificationBin
from mtlkit_face.protocols.pairs.cfp import read_cfp
from mtlkit_face.protocols.pairs.lfw import read_lfw
from mtlkit_face.protocols.pairs.measures import pair_measures
from mtlkit_face.protocols.pairs.pair_set import PairSet
from mtlkit_face.protocols.pairs.pickled_pairs import read_pickled_pairs
from mtlkit_face.protocols.pairs.scores import score_pairs
from mtlkit_face.protocols.report_blocks import facts, tables, worst_errors
from mtlkit_face.protocols.result import Outcome, Result
from mtlkit_face.protocols.rules import RULES, matching


def looked_at_lfw(config: Lfw) -> dict[str, PairSet]:
    """The pairs of LFW; `DataError` where the set is not as the mode wants it."""
    pairs = read_lfw(config.images, config.pairs)
    _as_expected(config, pairs, config.folds, config.fold_pairs)
    return _complete(config, {"": pairs})


def looked_at_cfp(config: Cfp) -> dict[str, PairSet]:
    """The pairs of CFP by part; `DataError` where the set is not as the mode wants it."""
    parts = {each.value: read_cfp(config.images, each, config.protocol) for each in config.faces}
    for pairs in parts.values():
        _as_expected(config, pairs, config.folds, config.fold_pairs)
    return _complete(config, parts)


def looked_at_bin(config: VerificationBin) -> dict[str, PairSet]:
    """The pairs of a `.bin` set; `DataError` where it is not as the mode wants it."""
    pairs = read_pickled_pairs(config.file, config.folds)
    if config.mode is Mode.STRICT and len(pairs) % config.folds:
        raise DataError(
            f"{config.file}: {len(pairs):,} pairs do not divide into {config.folds} equal folds; "
            f"set `folds`, or `mode: compatible` for folds that differ by a pair"
        )
    return _complete(config, {"": pairs})


def lfw(config: Lfw, model: MultiTaskModel, progress: Progress, weights: str | None) -> Outcome:
    """The outcome of LFW for `model`."""
    return _outcome(
        config, Embedder(config, model, progress, weights), looked_at_lfw(config), "LFW"
    )


def cfp(config: Cfp, model: MultiTaskModel, progress: Progress, weights: str | None) -> Outcome:
    """The outcome of CFP for `model`."""
    return _outcome(
        config, Embedder(config, model, progress, weights), looked_at_cfp(config), "CFP"
    )


def verification_bin(
    config: VerificationBin, model: MultiTaskModel, progress: Progress, weights: str | None
) -> Outcome:
    """The outcome of a `.bin` set for `model`."""
    return _outcome(
        config,
        Embedder(config, model, progress, weights),
        looked_at_bin(config),
        f"Verification, {config.file.name}",
    )


def _as_expected(config: PairProtocol, pairs: PairSet, folds: int, each: int) -> None:
    """Strict: the numbers of the official set, or those that the options say."""
    if config.mode is Mode.STRICT and (pairs.folds, len(pairs)) != (folds, 2 * each * folds):
        raise DataError(
            f"{config.name}: expected {folds} folds of {each} + {each} pairs, found "
            f"{pairs.version}. Complete the lists, or for another set say its `folds` and "
            f"`fold_pairs`, or set `mode: compatible`"
        )


def _complete(config: PairProtocol, parts: dict[str, PairSet]) -> dict[str, PairSet]:
    """`parts`, with no file missing unless failures count, and both kinds of pairs in each fold."""
    missing = dict.fromkeys(
        (name for pairs in parts.values() for name in pairs.missing()), "is missing"
    )
    if missing and not config.counts_failures:
        raise DataError(refusal(config.name, missing))
    for pairs in parts.values():
        for fold in range(pairs.folds):
            if config.mode is Mode.STRICT and len(set(pairs.same[pairs.fold == fold])) < 2:
                raise DataError(
                    f"{config.name}: the fold {fold + 1} of {pairs.folds} has pairs of one kind "
                    f"only; a fold's threshold, EER and AUC need both. Set `folds` as the set was "
                    f"made, or `mode: compatible`"
                )
        if len(set(pairs.same)) < 2:
            raise DataError(f"{config.name}: all pairs are of one kind; expected both")
    return parts


def _outcome(
    config: PairProtocol, embedder: Embedder, parts: Mapping[str, PairSet], title: str
) -> Outcome:
    rules = RULES[config.mode]
    results: dict[str, Result] = {}
    curves: dict[str, Roc] = {}
    errors: list[Block] = []
    for part, pairs in parts.items():
        score = score_pairs(pairs, embedder)
        judged = fold_accuracy(score, pairs.same, pairs.fold, rules.threshold)
        results[part] = _result(config, pairs, score, judged, embedder)
        curves[part or "pairs"] = roc(score, pairs.same)
        first, second = (
            [pairs.pictures[place] for place in side] for side in (pairs.first, pairs.second)
        )
        errors.append(worst_errors((first, second), score, pairs.same, judged.right, embedder))
    if config.mode is not Mode.STRICT:
        title += f" ({config.mode.value})"
    return Outcome(
        prefix=config.prefix,
        title=title,
        results=results,
        headlines=tuple(f"{part}/accuracy" if part else "accuracy" for part in parts),
        blocks=(
            Text(text=" ".join(_sentence(part, result) for part, result in results.items())),
            *roc_and_det(curves, title),
            *tables(results, facts(results, embedder)),
            *errors,
        ),
    )


def _result(
    config: PairProtocol, pairs: PairSet, score: Floats, judged: FoldAccuracy, embedder: Embedder
) -> Result:
    used = [pairs.pictures[place].name for place in pairs.used()]
    failed = {name: embedder.failed[name] for name in used if name in embedder.failed}
    return Result(
        protocol=config.name,
        version=pairs.version,
        mode=config.mode.value,
        matching=matching(config),
        weights=embedder.weights,
        preprocessing=embedder.preprocessing,
        n_genuine=int(pairs.same.sum()),
        n_impostor=int((~pairs.same).sum()),
        pictures=len(used),
        failures=len(failed),
        failed=dict(list(failed.items())[:20]),
        measures=pair_measures(pairs, score, judged, config.far, RULES[config.mode]),
    )


def _sentence(part: str, result: Result) -> str:
    accuracy = result.measures["accuracy"]
    return (
        f"{part.capitalize() + ': a' if part else 'A'}ccuracy {accuracy.value:.4f} "
        f"± {accuracy.standard_error:.4f} (standard error over {len(accuracy.folds)} folds) on "
        f"{result.n_genuine:,} genuine and {result.n_impostor:,} impostor pairs; the threshold of "
        f"each fold was chosen on the others."
    )
