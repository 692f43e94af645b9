"""Time the matching of 10,000 x 1,000 templates, and embedding relative to the bare network.

    python benchmarks/bench_inference.py             # the two targets of the project
    python benchmarks/bench_inference.py --threads 1 # on a shared machine

Functions are timed in turns; the minimum time of each is reported, to reduce the effect of other
programs. With one thread, CPU time is measured. Templates have 400 numbers, as those of a p-CNN of
200 people.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.inference.gallery_file import TemplateGallery, TemplateOrigin
from mtlkit_face.inference.model import Embedder
from mtlkit_face.inference.search import ExactIndex, FaissIndex, identify
from mtlkit_face.networks.yin_liu import m_cnn, p_cnn, s_cnn

from mtlkit.assembly import Assembly
from mtlkit.data import ClassTarget, InputSpec
from mtlkit.model import MultiTaskModel, assemble

GALLERY, PROBES, SIZE, TOP = 10_000, 1_000, 400, 5
TARGET_SECONDS, TARGET_SHARE = 0.5, 0.95
CLASSES = {"identity": 200, "illumination": 20, "expression": 6}
YAWS = tuple(map(str, range(-90, 91, 15)))


def say(line: str) -> None:
    """Print a line without buffering, since a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def clock() -> float:
    """Return CPU seconds of this process with one thread, otherwise wall-clock seconds."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def least_times(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the minimum time of each function in seconds, timing them in turns."""
    for function in functions.values():
        function()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            start = clock()
            function()
            best[name] = min(best[name], clock() - start)
    return best


def matching(repeats: int) -> bool:
    """Time a complete identification, and return True if it meets the target."""
    random = torch.Generator().manual_seed(0)
    gallery = F.normalize(torch.randn(GALLERY, SIZE, generator=random), dim=1)
    probes = F.normalize(torch.randn(PROBES, SIZE, generator=random), dim=1)
    names = tuple(str(index // 2) for index in range(GALLERY))  # two images per person
    people = TemplateGallery(
        files=names,
        names=names,
        templates=gallery,
        origin=TemplateOrigin(fingerprint="", weights="", task="identity", size=SIZE),
    )
    exact, faiss = ExactIndex(gallery), FaissIndex(gallery)
    most = 2 * (TOP - 1) + 1
    times = least_times(
        {
            "one matrix product": lambda: probes @ gallery.T,
            f"exact, best {most}": lambda: exact.best(probes, most),
            f"faiss, best {most}": lambda: faiss.best(probes, most),
            "identify, exact": lambda: identify(probes, people, threshold=0.5, top=TOP),
            "identify, faiss, with adding": lambda: identify(
                probes, people, threshold=0.5, top=TOP, index=FaissIndex
            ),
        },
        repeats,
    )
    for name, seconds in times.items():
        say(f"{name:34} {seconds:8.3f} s")
    return times["identify, exact"] <= TARGET_SECONDS


def network(kind: Callable[..., object], size: int) -> MultiTaskModel:
    """Return an untrained network of the paper for gray images of `size` pixels."""
    recipe = kind(Rendered(size=size))
    classes = {task: tuple(map(str, range(count))) for task, count in CLASSES.items()}
    classes["pose"] = YAWS
    chosen = {task: ClassTarget(names=classes[task]) for task in recipe.tasks}
    spec = InputSpec(shape=(1, size, size), mean=(127.5,), std=(128.0,))
    assembly = Assembly(inputs=spec, targets=chosen)
    return assemble(recipe.backbone, recipe.router, recipe.tasks, assembly).eval()


def embedding(size: int, batch: int, repeats: int) -> bool:
    """Time templates and the network's forward pass, and return True if all meet the target."""
    good = True
    for kind in (s_cnn, m_cnn, p_cnn):
        model = network(kind, size)
        embedder = Embedder(model, "identity").eval()
        images = torch.randint(0, 256, (batch, 1, size, size), dtype=torch.uint8)
        with torch.inference_mode():
            times = least_times(
                {
                    "backbone": lambda m=model, i=images: m.features(i),
                    "network": lambda m=model, i=images: m(i),
                    "templates": lambda e=embedder, i=images: e(i),
                },
                repeats,
            )
        speed = {name: batch / seconds for name, seconds in times.items()}
        share = speed["templates"] / speed["backbone"]
        good &= share >= TARGET_SHARE
        say(
            f"{kind.__name__}, {size} px, batch {batch}: backbone {speed['backbone']:,.0f} "
            f"images/s, network {speed['network']:,.0f}, templates {speed['templates']:,.0f}: "
            f"{share:.3f} of the backbone"
        )
    return good


def from_files(size: int, count: int, repeats: int) -> None:
    """Time embedding of PNG files, relative to embedding the same images from memory."""
    import attrs
    import numpy as np
    from mtlkit_face.inference.pictures import embed_files
    from PIL import Image

    from mtlkit.data import Frame

    @attrs.frozen(eq=False)
    class InMemory:
        """Attributes of a face model that `embed_files` uses."""

        embedder: Embedder
        frame: Frame
        size: int

        def embed(self, images: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():
                return self.embedder(images)

    model = InMemory(Embedder(network(p_cnn, size), "identity").eval(), Frame(size, size, 1), 400)
    random = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.png" for number in range(count)]
        pixels = random.integers(0, 256, (count, size, size), dtype=np.uint8)
        for path, image in zip(files, pixels, strict=True):
            Image.fromarray(image).save(path)
        images = torch.from_numpy(pixels).unsqueeze(1)
        times = least_times(
            {"memory": lambda: model.embed(images), "files": lambda: embed_files(model, files)},
            repeats,
        )
    say(
        f"p_cnn, {size} px, {count} PNG files: {count / times['files']:,.0f} images/s, "
        f"{times['memory'] / times['files']:.3f} of those from memory"
    )


def main() -> None:
    """Print all figures; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    say(f"{arguments.threads} threads, least of {arguments.repeats}")
    good = matching(arguments.repeats)
    good &= embedding(arguments.size, arguments.batch, arguments.repeats)
    from_files(arguments.size, 64, max(3, arguments.repeats // 2))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
