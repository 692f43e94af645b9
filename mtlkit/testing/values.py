"""What every component is: a documented, frozen value that can be written, read and sent."""

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

from mtlkit.errors import MissingExtraError
from mtlkit.recipe_io.dump import dump_plain, plain
from mtlkit.recipe_io.schema import DIALECT, component_schema
from mtlkit.recipe_io.source_location import RefusedError
from mtlkit.recipe_io.structuring import new_converter, options_of
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.testing.check import Subject, checks, require


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
    answer = _unpickled_elsewhere(subject.value)
    require("error" not in answer, f"another process cannot make it: {answer.get('error')}")
    require(
        answer["repr"] == repr(subject.value),
        f"another process makes {answer['repr']} of {subject.value!r}",
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
    # the module is imported anew there, from the same path, as a worker process would
    command = [sys.executable, "-c", INTERPRETER]
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # closes its pipes and waits for its end
        process.kill()


def _unpickled_elsewhere(value: object) -> Mapping[str, Any]:
    """Return the `repr` that another process gives `value`, or the error it raises."""
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
)
