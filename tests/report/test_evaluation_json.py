"""An evaluation in its open form."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.checksums import sealed
from mtlkit.errors import RunError
from mtlkit.report.blocks import Chart, Gallery, Picture, Section, Series, TableBlock, Text
from mtlkit.report.evaluation import Evaluation, evaluation_from_json, evaluation_to_json

words = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
cells = words | st.integers(-1000, 1000) | numbers
series = st.builds(
    Series, x=st.lists(cells, max_size=3).map(tuple), y=st.lists(numbers, max_size=3).map(tuple)
)
blocks = st.one_of(
    st.builds(Text, text=words),
    st.builds(
        TableBlock,
        header=st.lists(words, max_size=3).map(tuple),
        rows=st.lists(st.lists(cells, max_size=3).map(tuple), max_size=3).map(tuple),
        caption=words,
    ),
    st.builds(
        Chart,
        title=words,
        kind=st.sampled_from(["line", "bar", "area"]),
        x_label=words,
        y_label=words,
        series=st.dictionaries(words, series, max_size=2),
        y_range=st.none() | st.tuples(numbers, numbers),
        comparable=st.booleans(),
        caption=words,
    ),
    st.builds(
        Gallery,
        rows=st.lists(
            st.lists(st.builds(Picture, png=words, caption=words), max_size=2).map(tuple),
            max_size=2,
        ).map(tuple),
    ),
)
evaluations = st.builds(
    Evaluation,
    facts=st.dictionaries(words, words, max_size=3),
    budget=st.dictionaries(words, numbers, max_size=3),
    headlines=st.lists(words, max_size=3).map(tuple),
    metrics=st.dictionaries(words, numbers, max_size=3),
    sections=st.lists(
        st.builds(Section, title=words, blocks=st.lists(blocks, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
)


@given(evaluations)
@settings(max_examples=60)
def test_what_is_read_is_what_was_written(evaluation):
    assert evaluation_from_json(evaluation_to_json(evaluation)) == evaluation


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_become_null_and_come_back_as_nan(value):
    chart = Chart(
        title="t", kind="line", x_label="", y_label="", series={"a": Series(x=(1,), y=(value,))}
    )
    table = TableBlock(header=("a",), rows=((value,),))
    section = Section(title="s", blocks=(chart, table))
    text = evaluation_to_json(Evaluation(metrics={"a": value}, sections=(section,)))
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["metrics"] == {"a": None}
    again = evaluation_from_json(text)
    assert math.isnan(again.metrics["a"])
    assert math.isnan(again.sections[0].blocks[0].series["a"].y[0])


def test_whole_numbers_in_tables_stay_whole():
    table = TableBlock(header=("n",), rows=((3, 3.0, "3"),))
    evaluation = Evaluation(sections=(Section(title="s", blocks=(table,)),))
    (row,) = evaluation_from_json(evaluation_to_json(evaluation)).sections[0].blocks[0].rows
    assert [type(cell) for cell in row] == [int, float, str]


def _with_checksum(text):
    """Seal an object, so that the damage is in its content alone."""
    return sealed(json.loads(text)) if text.endswith("}") else text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "run/evaluation.json: cannot be used: it holds no JSON: Expecting property"),
        (
            "[]",
            "evaluation.json: cannot be used: expected a JSON object, got list; run",
        ),
        ('{"format": 2}', "run/evaluation.json: expected format 1, got 2; run `mtlkit evaluate`"),
        ('{"format": 1, "metrics": {"a": "b"}}', "expected float @ $.metrics['a']; run"),
        ('{"format": 1, "strange": 1}', "strange"),
    ],
)
def test_a_damaged_file_is_named(text, message):
    with pytest.raises(RunError) as caught:
        evaluation_from_json(_with_checksum(text), "run/evaluation.json")
    assert message in str(caught.value)
    assert "mtlkit evaluate" in str(caught.value)
