"""Scores of all comparisons of a protocol as a Parquet file."""

from collections.abc import Sequence

import attrs

from mtlkit_face.metrics.roc import Bools, Floats


@attrs.frozen(eq=False, kw_only=True)
class ScoredComparisons:
    """The P comparisons of one part of a protocol, in the order of its lists.

    `fold` (P,) is the fold or split, from 1; `first` and `second` (P,) name the two pictures or
    templates. A failed comparison has the score -inf.
    """

    part: str
    fold: Sequence[int]
    first: Sequence[str]
    second: Sequence[str]
    same: Bools
    score: Floats


def scores_to_parquet(parts: Sequence[ScoredComparisons]) -> bytes:
    """Return a Parquet file with the columns part, fold, first, second, same and score."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [
        pa.table(
            {
                "part": pa.array([part.part] * len(part.score), pa.string()),
                "fold": pa.array(part.fold, pa.int32()),
                "first": pa.array(part.first, pa.string()),
                "second": pa.array(part.second, pa.string()),
                "same": pa.array(part.same),
                "score": pa.array(part.score),
            }
        )
        for part in parts
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), sink)
    return sink.getvalue().to_pybytes()
