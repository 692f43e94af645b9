"""A pattern reads a name in one way or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data.listing.filename_pattern import compile_pattern

CMU = "{subject}_{pose}_{expression}_{eyes}_4.pgm"
WORDS = st.text(st.characters(exclude_characters="_/\n", exclude_categories=["Cs"]), min_size=1)


def read(pattern, name):
    match = compile_pattern(pattern).fullmatch(name)
    return None if match is None else match.groupdict()


@settings(max_examples=50, deadline=None)
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


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.png", "expected at least one label such as {subject}, got none"),
        ("{a}{b}.png", "expected a separator such as '_' between two labels, got ''"),
        ("{a}x{b}.png", "expected a separator such as '_' between two labels, got 'x'"),
        ("{a}*.png", "expected a separator such as '_' between two labels, got ''"),
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
