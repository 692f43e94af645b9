"""Files are written by the one durable writer, `mtlkit.atomic_files`, and by nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "mtlkit").rglob("*.py"), *(ROOT / "plugins").glob("*/mtlkit_*/**/*.py")])

DURABLE = {"replaced_file", "replaced_folder", "atomic_path"}
"""Contexts that yield a temporary path, which they sync and rename."""

EXCEPTIONS = {
    "mtlkit/atomic_files.py": "the durable writer",
    "mtlkit/cli/boundary.py:_defect": "a traceback in the folder of temporary files",
    "mtlkit/comparison/execute/ray_executor.py:_run_job": (
        "a traceback of a crash, written by the signal's handler"
    ),
    "mtlkit/comparison/results/store.py:_append": ("records are appended and synced one by one"),
    "mtlkit/data/imaging/shared_images.py": (
        "images for the other processes of a run, in a temporary folder that ends with it"
    ),
    "mtlkit/data/sharded/shard_index.py:shard_index": (
        "several processes may write it; one that is lost or damaged is built anew"
    ),
    "mtlkit/loggers/lines_file.py:LinesFile.__init__": "lines are appended; checkpoints sync them",
    "mtlkit/loggers/tracker.py:TrackerWriter._save": (
        "written in every logged step; after a power cut some events are sent twice"
    ),
    "mtlkit/training/checkpoint.py:_write_whole": (
        "writes to the temporary folder of `save_checkpoint`"
    ),
    "mtlkit/training/tensor_files.py:write_tensors": "writes to temporary files of its callers",
    "plugins/mtlkit-face/mtlkit_face/data/recordio/pack.py:_write_records": (
        "writes to the temporary files of `pack`"
    ),
    "plugins/mtlkit-face/mtlkit_face/data/alignment_folder.py:_align": (
        "writes to the temporary folder of `align_folder`, which is synced as a whole"
    ),
    "plugins/mtlkit-face/mtlkit_face/inference/gallery_file.py:_write_parquet": (
        "writes to the temporary file of `write_gallery`"
    ),
    "plugins/mtlkit-face/mtlkit_face/inference/gallery_file.py:_write_safetensors": (
        "writes to the temporary file of `write_gallery`"
    ),
    "plugins/mtlkit-hello/mtlkit_hello/csv_lines.py:CSVWriter.__init__": (
        "an example of a log, whose lines are appended"
    ),
    "plugins/mtlkit-hello/mtlkit_hello/observer.py:mtlkit_epoch_ended": (
        "an example that appends a line"
    ),
    "plugins/mtlkit-synthetic-faces/mtlkit_synthetic_faces/cache.py": (
        "a library without mtlkit: it syncs and renames its folder itself"
    ),
    "plugins/mtlkit-synthetic-faces/mtlkit_synthetic_faces/png_folder.py": (
        "a library without mtlkit: it syncs and renames its folder itself"
    ),
}
"""Files, or functions of files, that write otherwise, and why."""

METHODS = {
    *("write_text", "write_bytes", "tofile", "to_csv", "to_parquet", "savetxt"),
    *("save", "save_file", "savez", "savez_compressed", "savefig", "imwrite", "write_table"),
    *("open_memmap", "ParquetWriter", "mkstemp", "copy2", "copyfile", "copytree", "move"),
    *("rename", "renames", "extractall", "touch", "symlink_to", "hardlink_to"),
}
"""Names of functions and methods that write to the path, or to the object, that they are given."""


def writes(node: ast.Call) -> bool:
    """Whether the call may write a file."""
    match node.func:
        case ast.Name(id="open") | ast.Attribute(attr="open" | "fdopen"):
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            texts = [v.value for v in values if isinstance(v, ast.Constant)]
            modes = [t for t in texts if isinstance(t, str) and set(t) <= set("rwaxbt+")]
            return any(set(mode) & set("wax+") for mode in modes)
        case ast.Name(id=name):
            return name in METHODS - {"save"}  # safetensors' `save` returns bytes
        case ast.Attribute(attr=name):
            return name in METHODS
    return False


def buffers(function: ast.AST) -> set[str]:
    """The names of objects in memory, and of temporary paths of the durable writer."""
    names = set()
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(
                    func=ast.Attribute(attr="BytesIO" | "StringIO" | "BufferOutputStream")
                ),
            ):
                names.add(name)
            case ast.withitem(
                context_expr=ast.Call(func=ast.Name(id=context)),
                optional_vars=ast.Name(id=name),
            ) if context in DURABLE:
                names.add(name)
    return names


def direct_writes(tree: ast.AST, scope: str = "", safe: frozenset[str] = frozenset()) -> Iterator:
    """Yield the scope and the line of every call that writes a file directly."""
    for node in ast.iter_child_nodes(tree):
        inner, known = scope, safe
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inner = f"{scope}.{node.name}".lstrip(".")
            known = safe | buffers(node)
        if isinstance(node, ast.Call) and writes(node):
            used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
            if not used & safe:
                yield scope, node.lineno
        yield from direct_writes(node, inner, known)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_nothing_writes_directly():
    offences, used = [], set()
    for path in SOURCES:
        for scope, line in direct_writes(ast.parse(path.read_text(encoding="utf-8"))):
            places = {named(path), f"{named(path)}:{scope}"} & set(EXCEPTIONS)
            used |= places
            if not places:
                offences.append(f"{named(path)}:{line} in {scope}: use mtlkit.atomic_files")
    assert not offences
    assert used == set(EXCEPTIONS), "an exception that is not needed is removed"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("path.write_text('x')", True),
        ("open(path, 'w')", True),
        ("path.open('ab')", True),
        ("path.open(mode='x')", True),
        ("os.fdopen(handle, 'w')", True),
        ("image.save(path)", True),
        ("np.save(path, array)", True),
        ("table.to_parquet(path)", True),
        ("path.open('rb')", False),
        ("open(path, encoding='utf-8')", False),
        ("write_file(path, b'x')", False),
        ("tensors = save(array)", False),
        ("buffer = io.BytesIO(); image.save(buffer, 'PNG')", False),
        ("with replaced_file(path) as partial: partial.write_text('x')", False),
        ("with open(path) as partial: partial.write_text('x')", True),
    ],
)
def test_the_check_notices_a_writer(line, found):
    tree = ast.parse(f"def f(path, image, array):\n    {line}")
    assert bool(list(direct_writes(tree))) == found
