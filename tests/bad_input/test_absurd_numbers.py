"""Numbers that no machine can use are refused by name, before anything is made."""

import pytest


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (f"seed={2**64}", "seed: expected a whole number from 0 to 18446744073709551615"),
        ("optimizer={type: sgd, lr: 1e300}", "optimizer.lr: expected at most 3.402823"),
        ("backbone.hidden=[1000000000000]", "the model does not fit into memory"),
        (f"backbone.hidden=[{2**62}]", "the model does not fit into memory"),
    ],
)
def test_in_a_recipe(override, words, home, refused):
    arguments = ("train", "good.yaml", "--quiet", "--out", "run", "--set", override)
    assert words in refused(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ops", "tune", "--rows", "-1", "--out", "x.json"),
        ("ops", "tune", "--classes", "0", "--out", "x.json"),
        ("ops", "tune", "--out", "nowhere/x.json"),
        ("report", "good.yaml", "--out", "."),
    ],
)
def test_on_the_command_line(arguments, home, refused):
    refused(*arguments)


def test_a_report_is_not_written_over_a_folder(home, whole, call):
    code, _, err = call("report", whole, "--out", ".")
    assert code == 2
    assert err.endswith("Error: Invalid value for '--out': File '.' is a directory.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"problems: {{p: good.yaml}}\nseeds: 1{'0' * 399}\n", "seeds: expected at most 10000"),
        (f"problems: {{p: {'x' * 300}}}\n", "cannot be read: File name too long"),
        (f"problems: {{{'p' * 300}: good.yaml}}\n", "is not a name for a problem"),
    ],
)
def test_in_a_comparison(text, words, home, refused):
    (home / "comparison.yaml").write_text(text)
    assert words in refused("compare", "comparison.yaml", "--dry-run")
