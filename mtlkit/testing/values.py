"""Checks of all components: documented, frozen values that can be written, read and pickled."""

import atexit
import base64
import copy
import functools
import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from subprocess import PIPE
from typing import Any

from mtlkit.errors import import_extra
from mtlkit.recipe_io.dump import dump_plain, plain
from mtlkit.recipe_io.schema import DIALECT, component_schema
from mtlkit.recipe_io.source_location import RefusedError
from mtlkit.recipe_io.structuring import new_converter, options_of
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.testing.check import Subject, checks_of, require


def is_documented(subject: Subject) -> None:
    """It has its own docstring, which starts with a sentence, and a summary."""
    text = inspect.cleandoc(vars(subject.kind).get("__doc__") or "")
    first = text.partition("\n")[0]
    require(bool(text), f"{subject.kind.__name__} has no docstring")
    require(
        first.endswith((".", "?", ":", ";")) or ". " in first,
        f"the first line of its docstring is not a sentence: {first!r}",
    )
    require(bool(subject.entry.summary), "it was registered without a summary; add a few words")


def has_typed_options(subject: Subject) -> None:
    """Every option has a type that a recipe can contain, and is keyword-only."""
    schema = component_schema(subject.catalog, subject.registry, subject.entry)
    for name, field in options_of(subject.kind).items():
        require(field.type is not None, f"the option {name!r} has no type")
        require(
            bool(field.kw_only),
            f"the option {name!r} is not keyword-only; use @attrs.frozen(kw_only=True)",
        )
        require(
            bool(set(schema["properties"].get(name, {})) - {"default"}),
            f"the option {name!r} has a type that no recipe can contain: {field.type}",
        )


def is_frozen(subject: Subject) -> None:
    """Its options cannot be assigned."""
    value = copy.deepcopy(subject.value)
    for name in [*options_of(subject.kind), "something_else"]:
        try:
            setattr(value, name, None)
        except AttributeError:
            continue
        require(False, f"{name!r} can be assigned; use @attrs.frozen(kw_only=True)")


def compares_by_value(subject: Subject) -> None:
    """Values with the same options are equal, as are copies."""
    again = subject.kind(**{n: getattr(subject.value, n) for n in options_of(subject.kind)})
    require(again == subject.value, "values with the same options are not equal")
    require(copy.deepcopy(subject.value) == subject.value, "a deep copy of it is not equal")
    require(again != object(), "it is equal to an object that is not a component")


def shares_no_default(subject: Subject) -> None:
    """No mutable default is shared between values."""
    for name, field in options_of(subject.kind).items():
        require(
            not isinstance(field.default, dict | list | set),
            f"all values share the default of {name!r}; use attrs.field(factory=...)",
        )


def pickles(subject: Subject) -> None:
    """Pickling returns an equal value."""
    require(pickle.loads(pickle.dumps(subject.value)) == subject.value, "its pickle is not equal")


def round_trips(subject: Subject) -> None:
    """Writing it as YAML and reading it returns an equal value."""
    text = dump_plain(plain(subject.value, subject.catalog))
    try:
        again = new_converter(subject.catalog).structure(read_yaml(text, "example"), subject.kind)
    except RefusedError as cause:
        require(False, f"its YAML cannot be read: {cause}")
    require(again == subject.value, f"its YAML is read as another value: {again!r}")


def matches_its_schema(subject: Subject) -> None:
    """Its JSON Schema, which is built from its validators, accepts it."""
    jsonschema = import_extra("jsonschema", "the conformance kit", "jsonschema", "testing")
    schema = component_schema(subject.catalog, subject.registry, subject.entry)
    document = json.loads(json.dumps(plain(subject.value, subject.catalog)))
    validator = jsonschema.Draft202012Validator({"$schema": DIALECT, **schema})
    errors = [f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(document)]
    require(not errors, f"its schema rejects it: {'; '.join(errors)}")


def survives_spawn(subject: Subject) -> None:
    """A spawned process can unpickle it."""
    answer = _unpickled_in_process(subject.value)
    require("error" not in answer, f"another process cannot unpickle it: {answer.get('error')}")
    require(
        answer["repr"] == repr(subject.value),
        f"another process unpickles {answer['repr']} instead of {subject.value!r}",
    )


INTERPRETER = """
import base64, json, pickle, sys
for line in sys.stdin:
    path, pickled = json.loads(line)
    sys.path[:] = path
    try:
        answer = {"repr": repr(pickle.loads(base64.b64decode(pickled)))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
"""


@functools.cache
def _interpreter() -> subprocess.Popen[str]:
    """Start an interpreter that unpickles values; importing torch once serves every component."""
    # it imports modules from the same path, as a worker process does
    command = [sys.executable, "-c", INTERPRETER]
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # closes its pipes and waits
        process.kill()


def _unpickled_in_process(value: object) -> Mapping[str, Any]:
    """Return the `repr` of `value` in another process, or the error."""
    process = _interpreter()
    assert process.stdin is not None
    assert process.stdout is not None
    pickled = base64.b64encode(pickle.dumps(value)).decode()
    process.stdin.write(json.dumps([sys.path, pickled]) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:  # the component ended the process, as sys.exit does
        _interpreter.cache_clear()
        return {"error": f"the process ended with exit code {process.wait()}"}
    answer: Mapping[str, Any] = json.loads(line)
    return answer


CHECKS = checks_of(__name__)
