"""A component's versions: a resolved recipe keeps the one it was made with."""

import sys

import pytest

from mtlkit.errors import RecipeError
from mtlkit.plugins.catalog import Status, load_catalog
from mtlkit.recipe_io import dump_recipe, parse_recipe, provenance

PLUGIN = """
    import attrs
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.weightings import Weighting

    class Plain:
        def build(self, terms, features):
            raise NotImplementedError

    @attrs.frozen(kw_only=True)
    class Halves(Plain, Weighting):
        '''The first version.'''
        part: float = 0.5

    @attrs.frozen(kw_only=True)
    class Parts(Plain, Weighting):
        '''The second one, with another option.'''
        parts: int = 2

    @hookimpl
    def mtlkit_register(catalog):
        catalog.weightings.add("acme/halves", Halves)
"""
SECOND = '        catalog.weightings.add("acme/halves@2", Parts)\n'
RECIPE = """\
data: {{type: images, folder: f, pattern: '{{yaw}}.png', size: 32}}
backbone: casia-net
tasks: {{yaw: {{}}}}
weighting: {}
"""


def read(weighting, catalog):
    return parse_recipe(RECIPE.format(weighting), "r.yaml", catalog)


@pytest.fixture
def old(distribution):
    distribution("acme", PLUGIN)
    return load_catalog("acme")


@pytest.fixture
def new(distribution):
    distribution("acme", PLUGIN + SECOND)
    return load_catalog("acme")


def test_a_resolved_recipe_outlives_a_new_version(old, tmp_path):
    resolved = dump_recipe(read("{type: acme/halves, part: 0.25}", old), old)
    assert "weighting: {type: acme/halves@1, part: 0.25}" in resolved
    assert "backbone: {type: casia-net@1, " in resolved
    assert "#   weighting acme/halves@1  mtlkit-acme 1.0\n" in resolved
    [module] = (tmp_path / "site-packages").glob("*.py")
    module.write_text(module.read_text() + SECOND[4:])  # an upgrade of the plugin
    sys.modules.pop(module.stem)
    newer = load_catalog("acme")
    assert type(read("acme/halves", newer).weighting).__name__ == "Parts"
    again = parse_recipe(resolved, "recipe.yaml", newer)
    assert type(again.weighting).__name__ == "Halves"
    assert again.weighting.part == 0.25
    assert dump_recipe(again, newer) == resolved


def test_the_bare_name_is_resolved_to_the_newest(new):
    recipe = read("acme/halves", new)
    assert recipe.weighting.parts == 2
    assert "type: acme/halves@2, parts: 2" in dump_recipe(recipe, new)
    assert "weightings/acme/halves@2" in provenance(recipe, new)
    older = read("{type: acme/halves@1, part: 0.5}", new)
    assert dump_recipe(older, new).count("acme/halves@1") == 2


def test_a_version_that_is_not_installed_is_a_mistake_with_a_way_out(old):
    with pytest.raises(RecipeError) as caught:
        read("acme/halves@2", old)
    assert caught.value.lines == (
        "r.yaml:4:12: weighting: the weighting 'acme/halves' of mtlkit-acme 1.0 has no version "
        "'2', only 1; ask for one of these, or run `pip install --upgrade mtlkit-acme`",
    )


@pytest.mark.parametrize("name", ["acme/halves@0", "acme/halves@x", "acme/halves@"])
def test_a_version_is_a_number_from_1(name, distribution):
    distribution("acme", PLUGIN.replace("acme/halves", name))
    [record] = [one for one in load_catalog("acme").plugins if one.namespace == "acme"]
    assert record.status is Status.FAILED
    assert "expected a version such as '@2'" in record.reason
