"""A registry maps names to classes and owners, refuses doubles, and forgets on request."""

import re

import attrs
import pytest

from mtlkit.errors import (
    DuplicateNameError,
    IncompatibleError,
    InvalidNameError,
    LoadFailedError,
    NotInstalledError,
    UnknownComponentError,
)
from mtlkit.plugins.registry import Entry, Origin, Registry, UnavailablePlugin
from mtlkit.weightings import Equal, Fixed, Weighting

ACME = Origin("acme", "1.0", "acme/plugin.py")
OTHER = Origin("other", "2.0", "other/plugin.py")


def entry(name, target="mtlkit.weightings.equal:Equal", origin=ACME):
    return Entry("weighting", name, target, "a summary", origin)


@pytest.fixture
def registry():
    return Registry[type[Weighting]]("weighting", "weightings")


def test_names_are_sorted_with_built_in_ones_first(registry):
    for name in ("b/x", "z", "a/y", "a"):
        registry.add(entry(name))
    assert registry.names() == ["a", "z", "a/y", "b/x"]
    assert [found.name for found in registry] == registry.names()
    assert len(registry) == 4
    assert "a/y" in registry
    assert "a/z" not in registry


def test_nothing_is_imported_before_it_is_asked_for(registry):
    registry.add(entry("acme/x", "mtlkit_no_such_module:X"))
    assert registry.entry("acme/x").summary == "a summary"
    with pytest.raises(LoadFailedError, match=r"acme 1\.0") as caught:
        registry.get("acme/x")
    assert (caught.value.family, caught.value.name) == ("weighting", "acme/x")


def test_a_class_and_its_name_find_each_other(registry):
    registry.add(entry("equal"))
    registry.add(entry("acme/fixed", "mtlkit.weightings.fixed:Fixed"), Fixed)
    assert registry.get("equal") is Equal
    assert registry.name_of(Fixed) == "acme/fixed"
    fresh = Registry[type[Weighting]]("weighting", "weightings")
    fresh.add(entry("equal"))
    assert fresh.name_of(Equal) == "equal"  # found by its target, before it was ever asked for
    with pytest.raises(UnknownComponentError, match="Fixed is registered as no weighting"):
        fresh.name_of(Fixed)


def test_a_class_that_is_registered_by_another_module_is_found(registry):
    registry.add(entry("acme/gone", "mtlkit_no_such_module:Fixed"))
    registry.add(entry("acme/fixed", "mtlkit.weightings:Fixed"))
    assert registry.name_of(Fixed) == "acme/fixed"
    with pytest.raises(UnknownComponentError, match="Equal is registered as no weighting"):
        registry.name_of(Equal)


def test_a_class_with_two_names_keeps_the_first(registry):
    registry.add(entry("acme/a"), Equal)
    registry.add(entry("acme/b"), Equal)
    assert registry.name_of(Equal) == "acme/a"


def test_a_double_names_both_owners_and_changes_nothing(registry):
    registry.add(entry("x"))
    with pytest.raises(DuplicateNameError) as caught:
        registry.add(entry("x", origin=OTHER))
    for part in ("'x'", "acme 1.0 (acme/plugin.py)", "other 2.0 (other/plugin.py)"):
        assert part in str(caught.value)
    assert registry.entry("x").origin == ACME


@pytest.mark.parametrize("name", ["", "A", "a b", "/a", "a/", "a/b/c", "-a", "a//b", "é", "a\n"])
def test_a_name_that_breaks_the_rule(registry, name):
    with pytest.raises(InvalidNameError, match=re.escape(repr(name))):
        registry.add(entry(name))


@pytest.mark.parametrize("target", ["", "module", ":Class", "module:", "a b:C", "m:a:b"])
def test_a_target_that_leads_nowhere(registry, target):
    with pytest.raises(InvalidNameError, match="expected 'module:Class'"):
        registry.add(entry("x", target))


@pytest.mark.parametrize("name", ["a", "casia-net", "resnet_v2.1", "face/p-cnn", "0/1"])
def test_a_name_within_the_rule(registry, name):
    registry.add(entry(name))
    assert registry.names() == [name]


def test_a_class_is_checked_when_it_is_registered(registry):
    with pytest.raises(LoadFailedError, match="is not a component"):
        registry.add(entry("x"), int)

    class Plain(Equal):
        """Not decorated."""

    with pytest.raises(LoadFailedError, match=r"put @attrs\.frozen\(kw_only=True\) above"):
        registry.add(entry("x"), Plain)
    assert registry.names() == []
    registry.add(entry("x"), attrs.frozen(kw_only=True)(Plain))


def test_removing_forgets_name_and_class(registry):
    registry.add(entry("x"), Equal)
    registry.remove(entry("x", origin=OTHER))  # another's entry of that name is left alone
    assert registry.names() == ["x"]
    registry.remove(entry("x"))
    registry.remove(entry("x"))
    assert registry.names() == []
    with pytest.raises(UnknownComponentError):
        registry.name_of(Equal)


def test_an_unusable_namespace_says_why(registry):
    registry.refuse(UnavailablePlugin("acme", IncompatibleError, "made for plugin API 9.0"))
    with pytest.raises(
        IncompatibleError, match=r"'acme/x' is unavailable: made for plugin API 9\.0"
    ):
        registry.get("acme/x")
    with pytest.raises(UnknownComponentError):
        registry.get("acme")


def test_a_namespace_that_is_not_installed_names_the_distribution_to_install():
    registry = Registry[type[Weighting]]("weighting", "weightings", {"face", "hello"})
    with pytest.raises(
        NotInstalledError, match=r"no plugin named 'acme' is installed.*mtlkit-acme"
    ):
        registry.get("acme/x")
    for installed in ("face/x", "x"):
        with pytest.raises(UnknownComponentError, match="no weighting named"):
            registry.get(installed)


def test_a_miss_names_the_listing(registry):
    with pytest.raises(UnknownComponentError, match=r"named 'x'; `mtlkit list weightings`"):
        registry.get("x")
    branches = Registry[type[Weighting]]("branch", "branches")
    with pytest.raises(UnknownComponentError, match="mtlkit list branches"):
        branches.get("x")


def test_a_name_without_its_namespace_is_nearer_than_one_that_looks_like_it(registry):
    for name in ("pcgrad", "torchjd/upgrad"):
        registry.add(entry(name))
    with pytest.raises(UnknownComponentError, match="did you mean 'torchjd/upgrad'"):
        registry.get("upgrad")


def test_the_nearest_name_is_found_without_regard_to_case(registry):
    registry.add(entry("cagrad"))
    with pytest.raises(UnknownComponentError, match="did you mean 'cagrad'"):
        registry.get("CAGrad")


def test_a_module_that_ends_the_process_is_an_error(registry, tmp_path, monkeypatch):
    (tmp_path / "mtlkit_ends.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.add(entry("acme/ends", "mtlkit_ends:X"))
    with pytest.raises(
        LoadFailedError, match="failed to import from 'mtlkit_ends:X': SystemExit: 0"
    ):
        registry.get("acme/ends")
