"""What is not a recipe is refused before it is read whole."""

import os
import time

import pytest

from mtlkit.errors import RecipeError
from mtlkit.recipe_io import load_recipe


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    return "pipe.yaml"


def refusal(tmp_path, catalog, text):
    (tmp_path / "r.yaml").write_text(text)
    before = time.monotonic()
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "r.yaml", catalog)
    assert time.monotonic() - before < 5
    return str(caught.value)


def test_a_recipe_extends_regular_files_only(tmp_path, catalog, pipe):
    for named, kind in {pipe: "a named pipe", "/dev/zero": "a device"}.items():
        text = refusal(tmp_path, catalog, f"extends: {named}\n")
        assert f"cannot be read: is {kind}; expected a file" in text


def test_a_large_file_is_refused_by_its_size(tmp_path, catalog):
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(100 * 1024**2)
    text = refusal(tmp_path, catalog, "extends: large.yaml\n")
    assert "cannot be read: has more than 4,000,000 bytes" in text


def test_a_pipe_is_no_recipe(tmp_path, catalog, pipe):
    with pytest.raises(RecipeError, match="cannot be read: is a named pipe; expected a file"):
        load_recipe(tmp_path / pipe, catalog)
