"""A pattern reads a name in one way or not at all."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data.listing.filename_pattern import compile_pattern

CMU = "{subject}_{pose}_{expression}_{eyes}_4.pgm"
WORDS = st.text(st.characters(exclude_characters="_/\n", exclude_categories=["Cs"]), min_size=1)


def read(pattern, name):
    match = compile_pattern(pattern).fullmatch(name)
    return None if match is None else match.groupdict()


@settings(max_examples=50)
@given(st.lists(WORDS, min_size=4, max_size=4))
def test_labels_come_back_as_they_were_put_in(words):
    labels = dict(zip(("subject", "pose", "expression", "eyes"), words, strict=True))
    assert read(CMU, CMU.format(**labels)) == labels


@pytest.mark.parametrize(
    ("pattern", "name", "labels"),
    [
        ("{subject}/*.jpg", "ann/holiday 1_2.jpg", {"subject": "ann"}),
        ("{subject}/*.jpg", "ann/more/1.jpg", None),
        ("{subject}/**/*.jpg", "ann/1.jpg", {"subject": "ann"}),
        ("{subject}/**/*.jpg", "ann/a/b/1.jpg", {"subject": "ann"}),
        ("**/{subject}.jpg", "a/b/ann.jpg", {"subject": "ann"}),
        ("**/{subject}.jpg", "ann.jpg", {"subject": "ann"}),
        ("{subject}/img_{yaw}.png", "ann_b/img_-30.5.png", {"subject": "ann_b", "yaw": "-30.5"}),
        ("*_{pose}.png", "a_b_c.png", {"pose": "c"}),
        ("{subject}_*.png", "a_b_c.png", {"subject": "a"}),
        ("{a}_s{b}.png", "steffi_s1.png", {"a": "steffi", "b": "1"}),
        ("{pose}.png", "leftXpng", None),  # a dot stands for itself
        (CMU, "a_b_left_happy_open_4.pgm", None),  # whose subject: a, or a_b?
        (CMU, "an2i_left_happy_open_2.pgm", None),
        (CMU, "sub/an2i_left_happy_open_4.pgm", None),
        (CMU, "_left_happy_open_4.pgm", None),  # a label is never empty
    ],
)
def test_what_matches(pattern, name, labels):
    assert read(pattern, name) == labels


FORM = "or state the form of the labels, such as {name:number}"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.png", "expected at least one label such as {subject}, got none"),
        ("{a}{b}.png", f"expected a separator such as '_' between two labels, got ''; {FORM}"),
        ("{a}x{b}.png", f"expected a separator such as '_' between two labels, got 'x'; {FORM}"),
        ("{a}*.png", f"expected a separator such as '_' between two labels, got ''; {FORM}"),
        ("{a}/{a}_*.png", "the label {a} occurs twice; use * for one of them"),
        ("{a b}.png", "expected a name of letters, digits and '_', got {a b}"),
        ("{}.png", "expected a name of letters, digits and '_', got {}"),
        ("{a.png", "expected matching braces, got a single one at '{a.png'"),
        ("a}.png", "expected matching braces, got a single one at '}.png'"),
    ],
)
def test_what_is_no_pattern(pattern, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        compile_pattern(pattern)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("pattern", "name", "labels"),
    [
        (
            "yaleB{subject:2}_P{pose:2}A{azimuth:number}E{elevation:number}.pgm",
            "yaleB07_P00A+000E+20.pgm",
            {"subject": "07", "pose": "00", "azimuth": "+000", "elevation": "+20"},
        ),
        ("{name:letters}{number:number}*.png", None, "expected other text between"),
        ("{a:letters}{b:number}.png", "ab-1.5.png", {"a": "ab", "b": "-1.5"}),
        ("{a:number}{b:letters}_{c}.png", "3ab_x-y.png", {"a": "3", "b": "ab", "c": "x-y"}),
        ("{a:number}1{b}.png", None, "expected other text between {a:number} and 1"),
        ("{a:number}{b:2}.png", None, "expected other text between {a:number} and {b:2}"),
        ("{a:letters}x.png", None, "expected other text between {a:letters} and x.png"),
        ("{a}A{b:number}.png", None, "expected a separator such as '_' between two labels"),
        ("{a:digits}_{b}.png", None, "expected the form number, letters or a number of"),
        ("{a:0}_{b}.png", None, "expected the form number, letters or a number of"),
    ],
)
def test_labels_with_a_form_end_by_themselves(pattern, name, labels):
    if name is None:
        with pytest.raises(ValueError, match=re.escape(labels)):
            compile_pattern(pattern)
        return
    assert compile_pattern(pattern).fullmatch(name).groupdict() == labels
