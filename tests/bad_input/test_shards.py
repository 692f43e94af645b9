"""Shards that are missing, damaged or collide: exit code 2, a message with the place, no traces."""

import io
import tarfile

import pytest

DATA = """
extends: good.yaml
data:
  type: {kind}
  {options}
tasks: {{who: {{}}}}
weighting: equal
"""


@pytest.fixture
def shards(home):
    """Two shards of the pictures, and a recipe that reads them."""
    pictures = sorted((home / "pictures").iterdir())
    for number in range(2):
        with tarfile.open(home / f"part-{number}.tar", "w") as tar:
            for picture in pictures[8 * number : 8 * number + 8]:
                tar.add(picture, picture.name)
                label = f'{{"who": "{picture.stem[-1]}"}}'.encode()
                info = tarfile.TarInfo(f"{picture.stem}.json")
                info.size = len(label)
                tar.addfile(info, io.BytesIO(label))
    return home


def recipe(home, kind, options):
    text = DATA.format(kind=kind, options=options)
    (home / "shards.yaml").write_text(text)
    return "shards.yaml"


SHARDS = """shards: ["part-{0..1}.tar"]
  size: 8
  channels: 1
  order: full"""


def refusal(refused, home, name):
    output = refused("train", name, "--out", "run", "--quiet", "--cache", home.parent / "cache")
    return " ".join(output.split())


def damage(home, kind):
    path = home / "part-1.tar"
    content = path.read_bytes()
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 3])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "'part-1.tar', which matches no file"),
        ("truncated", "expected a complete tar; the shard is damaged or truncated, copy it again"),
    ],
)
def test_a_shard(kind, words, shards, refused):
    name = recipe(shards, "shards", SHARDS)
    damage(shards, kind)
    output = refusal(refused, shards, name)
    assert words in output


def test_sources_whose_classes_collide(shards, refused):
    part = "{{type: shards, shards: [part-{}.tar], size: 8, channels: 1, order: full}}"
    options = f"sources: {{a: {part.format(0)}, b: {part.format(0)}}}"
    name = recipe(shards, "mix", options)
    output = refusal(refused, shards, name)
    assert "data.sources.b: the label 'who' got the classes" in output


def test_a_cache_without_room(shards, refused):
    options = """shards: ["file://HOME/part-{0..1}.tar"]
  size: 8
  channels: 1
  cache: 0.000000001""".replace("HOME", str(shards))
    name = recipe(shards, "shards", options)
    output = refusal(refused, shards, name)
    assert "data.cache: got" in output
    assert "set a larger limit" in output
