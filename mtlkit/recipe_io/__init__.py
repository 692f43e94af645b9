"""Recipes as YAML: read with every mistake reported at once, and written with nothing left open."""

from mtlkit.recipe_io.dump import dump_recipe, provenance
from mtlkit.recipe_io.load import Written, load_recipe, parse_recipe, read_recipe

__all__ = [
    "Written",
    "dump_recipe",
    "load_recipe",
    "parse_recipe",
    "provenance",
    "read_recipe",
]
