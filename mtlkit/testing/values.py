"""What every component is: a documented, frozen value that can be written, read and sent."""

import copy
import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from mtlkit.errors import MissingExtraError
from mtlkit.recipe_io.dump import dump_plain, plain
from mtlkit.recipe_io.schema import DIALECT, component_schema
from mtlkit.recipe_io.source_location import RefusedError
from mtlkit.recipe_io.structuring import new_converter, options_of
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.testing.check import Subject, checks, require

HEAVY = ("timm", "torchvision", "matplotlib", "numba", "pyarrow", "scipy", "pandas")
"""Packages that the module of a component must not import: every use of the family would wait."""


def documented(subject: Subject) -> None:
    """It has a documentation of its own, of which the first line is a sentence, and a summary."""
    text = inspect.cleandoc(vars(subject.kind).get("__doc__") or "")
    first = text.partition("\n")[0]
    require(bool(text), f"{subject.kind.__name__} has no docstring of its own")
    require(
        first.endswith((".", "?", ":", ";")) or ". " in first,
        f"the first line of its docstring is no sentence: {first!r}",
    )
    require(bool(subject.entry.summary), "it was added without a summary; say it in a few words")


def has_typed_options(subject: Subject) -> None:
    """Every option has a type that a recipe can write, and is given by name only."""
    schema = component_schema(subject.catalog, subject.registry, subject.entry)
    for name, field in options_of(subject.kind).items():
        require(field.type is not None, f"the option {name!r} has no type")
        require(
            bool(field.kw_only),
            f"the option {name!r} can be given without its name; use @attrs.frozen(kw_only=True)",
        )
        require(
            bool(set(schema["properties"].get(name, {})) - {"default"}),
            f"the option {name!r} has a type that no recipe can write: {field.type}",
        )


def is_frozen(subject: Subject) -> None:
    """None of its options can be changed."""
    value = copy.deepcopy(subject.value)
    for name in [*options_of(subject.kind), "something_else"]:
        try:
            setattr(value, name, None)
        except AttributeError:
            continue
        require(False, f"{name!r} can be changed; use @attrs.frozen(kw_only=True)")


def is_a_value(subject: Subject) -> None:
    """Made again from the same options it is equal, and so are its copies."""
    again = subject.kind(**{n: getattr(subject.value, n) for n in options_of(subject.kind)})
    require(again == subject.value, "made again from the same options it is not equal")
    require(copy.deepcopy(subject.value) == subject.value, "a deep copy of it is not equal")
    require(again != object(), "it is equal to something that is no component")


def shares_no_default(subject: Subject) -> None:
    """A default that could be changed is made anew for each value."""
    for name, field in options_of(subject.kind).items():
        require(
            not isinstance(field.default, dict | list | set),
            f"all values share the default of {name!r}; use attrs.field(factory=...)",
        )


def pickles(subject: Subject) -> None:
    """It goes through pickle unchanged, by which worker processes get it."""
    require(pickle.loads(pickle.dumps(subject.value)) == subject.value, "its pickle is not equal")


def round_trips(subject: Subject) -> None:
    """Written as YAML and read again it is equal."""
    text = dump_plain(plain(subject.value, subject.catalog))
    try:
        again = new_converter(subject.catalog).structure(read_yaml(text, "example"), subject.kind)
    except RefusedError as cause:
        require(False, f"what is written of it cannot be read: {cause}")
    require(again == subject.value, f"read again it is another value: {again!r}")


def fits_its_schema(subject: Subject) -> None:
    """The schema, which its validators helped to write, accepts it."""
    try:
        import jsonschema
    except ImportError as cause:
        raise MissingExtraError(
            "the conformance kit needs jsonschema, which is not installed; run "
            "`pip install 'mtlkit[testing]'`"
        ) from cause
    schema = component_schema(subject.catalog, subject.registry, subject.entry)
    found = json.loads(json.dumps(plain(subject.value, subject.catalog)))
    validator = jsonschema.Draft202012Validator({"$schema": DIALECT, **schema})
    said = [f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(found)]
    require(not said, f"its schema refuses it: {'; '.join(said)}")


def survives_spawn(subject: Subject) -> None:
    """A process that starts from nothing can make it from its pickle."""
    answer = _elsewhere(subject)
    require("error" not in answer, f"another process cannot make it: {answer.get('error')}")
    require(
        answer["repr"] == repr(subject.value),
        f"another process makes {answer['repr']} of {subject.value!r}",
    )


def imports_lightly(subject: Subject) -> None:
    """The module that describes it imports torch at most, and no other heavy package."""
    heavy = _elsewhere(subject).get("heavy", [])
    require(
        not heavy,
        f"{subject.kind.__module__} imports {', '.join(heavy)}, for which every check of a "
        f"recipe would wait; import it inside build",
    )


PROBE = """
import json, pickle, sys
sys.path[:] = json.loads(sys.argv[1])
answer = {}
try:
    __import__(sys.argv[2])
    answer["heavy"] = [name for name in json.loads(sys.argv[3]) if name in sys.modules]
    answer["repr"] = repr(pickle.loads(sys.stdin.buffer.read()))
except Exception as error:
    answer["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(answer))
"""


def _elsewhere(subject: Subject) -> Mapping[str, Any]:
    """What a fresh interpreter makes of the pickled value; asked once for both checks."""
    key = ("elsewhere", subject.label)
    if key not in subject.answers:
        done = subprocess.run(
            [
                sys.executable, "-c", PROBE,
                json.dumps(sys.path), subject.kind.__module__, json.dumps(HEAVY),
            ],
            input=pickle.dumps(subject.value),
            capture_output=True,
            check=True,
        )  # fmt: skip
        subject.answers[key] = json.loads(done.stdout)
    answer: Mapping[str, Any] = subject.answers[key]
    return answer


CHECKS = checks(
    documented,
    has_typed_options,
    is_frozen,
    is_a_value,
    shares_no_default,
    pickles,
    round_trips,
    fits_its_schema,
    survives_spawn,
    imports_lightly,
)
