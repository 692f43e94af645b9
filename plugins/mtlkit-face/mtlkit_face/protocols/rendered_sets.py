"""Rendered faces in the layouts of LFW, CFP, IJB-A and `.bin` sets.

The real sets cannot be redistributed. These have the same files and folders, for tests and trials;
results on them do not transfer to photographs.
"""

import csv
import io
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
from mtlkit_synthetic_faces.rendered import RenderedSet
from PIL import Image

from mtlkit.plugins import write_file
from mtlkit_face.protocols.pictures import Pixels
from mtlkit_face.protocols.templates.ijb_a_tables import SEARCH, VERIFY

COLUMNS = (
    "TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID", "SIGHTING_ID", "FRAME",
    "FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT",
)  # fmt: skip

Pair = tuple[int, int]


@attrs.frozen(eq=False)
class People:
    """Rendered faces by person, and a random generator."""

    faces: RenderedSet
    random: np.random.Generator

    @property
    def subjects(self) -> list[int]:
        """The numbers of all people."""
        return sorted(set(self.faces.rows.subject.tolist()))

    def images(self, subject: int) -> list[int]:
        """Return a person's images, from frontal to profile."""
        rows = self.faces.rows
        images = np.flatnonzero(rows.subject == subject)
        return [int(i) for i in images[np.argsort(np.abs(rows.yaw[images]), kind="stable")]]

    def picture(self, image: int) -> Image.Image:
        """Return an image as a Pillow image."""
        return _image(self.faces.images[image])

    def two(self, values: Sequence[int]) -> Pair:
        """Return two different elements."""
        one, other = self.random.choice(len(values), 2, replace=False)
        return values[one], values[other]

    def of_folds(self, folds: int) -> list[list[int]]:
        """Return the people of each fold: disjoint, and two or more in each."""
        if len(self.subjects) < 2 * folds:
            raise ValueError(
                f"expected two subjects or more for each of {folds} folds, got {len(self.subjects)}"
            )
        return [list(map(int, part)) for part in np.array_split(self.subjects, folds)]


def write_lfw(people: People, out: Path, folds: int, fold_pairs: int) -> None:
    """Write `pairs.txt` and a folder of images for each person."""
    lines = [f"{folds}\t{fold_pairs}"]
    number = {}
    for subject in people.subjects:
        for index, image in enumerate(people.images(subject), start=1):
            number[image] = index
            name = _name(subject)
            _save(people.picture(image), out / name / f"{name}_{index:04d}.jpg")
    for group in people.of_folds(folds):
        for subject in people.random.choice(group, fold_pairs).tolist():
            one, other = people.two(people.images(subject))
            lines.append(f"{_name(subject)}\t{number[one]}\t{number[other]}")
        for _ in range(fold_pairs):
            fields: list[str] = []
            for subject in people.two(group):
                fields += [
                    _name(subject),
                    str(number[people.random.choice(people.images(subject))]),
                ]
            lines.append("\t".join(fields))
    _write(out / "pairs.txt", lines)


def write_cfp(people: People, out: Path, folds: int, fold_pairs: int) -> None:
    """Write `Data` and `Protocol`; the more frontal half of each person's images is frontal."""
    lists: dict[str, list[int]] = {"F": [], "P": []}
    for subject in people.subjects:
        images = people.images(subject)
        half = len(images) // 2
        lists["F"] += images[:half]
        lists["P"] += images[half:]
    entries: dict[int, tuple[str, int]] = {}
    for kind, folder in (("F", "frontal"), ("P", "profile")):
        lines, count = [], dict.fromkeys(people.subjects, 0)
        for number, image in enumerate(lists[kind], start=1):
            subject = int(people.faces.rows.subject[image])
            count[subject] += 1
            file = f"Data/Images/{subject + 1:03d}/{folder}/{count[subject]:02d}.jpg"
            _save(people.picture(image), out / file)
            lines.append(f"{number} ../{file}")
            entries[image] = kind, number
        _write(out / f"Protocol/Pair_list_{kind}.txt", lines)
    for split, second in (("FF", "F"), ("FP", "P")):
        for fold, group in enumerate(people.of_folds(folds), start=1):
            root = out / f"Protocol/Split/{split}/{fold:02d}"
            for name, same in (("same", True), ("diff", False)):
                pairs = [_cfp_pair(people, group, entries, second, same) for _ in range(fold_pairs)]
                _write(root / f"{name}.txt", [f"{entries[a][1]},{entries[b][1]}" for a, b in pairs])


def _cfp_pair(
    people: People, group: list[int], entries: dict[int, tuple[str, int]], kind: str, same: bool
) -> Pair:
    one, other = (int(people.random.choice(group)),) * 2 if same else people.two(group)
    first = [i for i in people.images(one) if entries[i][0] == "F"]
    second = [i for i in people.images(other) if entries[i][0] == kind]
    a = int(people.random.choice(first))
    return a, int(people.random.choice([i for i in second if i != a]))


def write_bin(people: People, path: Path, folds: int, fold_pairs: int) -> None:
    """Write a pickle of encoded images and of labels of matching pairs, in the order of folds."""
    contents, same = [], []
    for group in people.of_folds(folds):
        for number in range(2 * fold_pairs):
            genuine = number < fold_pairs
            a, b = (int(people.random.choice(group)),) * 2 if genuine else people.two(group)
            images = people.images(a)
            pair = (
                people.two(images)
                if genuine
                else (images[0], int(people.random.choice(people.images(b))))
            )
            contents += [_encoded(people.picture(image)) for image in pair]
            same.append(genuine)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, pickle.dumps((contents, same), protocol=4))


def write_ijb_a(people: People, out: Path, splits: int) -> None:
    """Write `img` and `frame`, with two people in each photograph, `aligned` faces, and tables."""
    sightings = list(_write_pictures(people, out))
    for split in range(1, splits + 1):
        order = people.random.permutation(people.subjects).tolist()
        third = len(order) // 3
        train, tested = order[:third], order[third:]
        verify, search = (out / kind / f"split{split}" for kind in (VERIFY, SEARCH))
        by_person = {subject: [s for s in sightings if s[0] == subject] for subject in order}
        # three templates each: of photographs, of a video, and of both
        templates = {
            3 * subject + kind: (subject, rows)
            for subject in tested
            for kind, rows in enumerate(_three(by_person[subject]))
        }
        training = {subject: (subject, by_person[subject]) for subject in train}
        for folder in (verify, search):
            _table(folder / f"train_{split}.csv", training)
        _table(verify / f"verify_metadata_{split}.csv", templates)
        pairs = [
            (a, b) for a in templates for b in templates
            if a < b and (templates[a][0] == templates[b][0] or (a + b) % 3 == 0)
        ]  # fmt: skip
        _write(verify / f"verify_comparisons_{split}.csv", [f"{a},{b}" for a, b in pairs])
        enrolled = tested[: max(2, 2 * len(tested) // 3)]  # the others are non-mated
        gallery = {n: t for n, t in templates.items() if n % 3 == 2 and t[0] in enrolled}
        _table(search / f"search_gallery_{split}.csv", gallery)
        probes = {n: t for n, t in templates.items() if n % 3 != 2}
        _table(search / f"search_probe_{split}.csv", probes)


Row = tuple[int, str, str, int, tuple[int, int, int, int]]
"""Subject, file, medium, sighting, box."""


def _write_pictures(people: People, out: Path) -> Iterator[Row]:
    """Write photographs of two people each, and videos of three frames of one; yield their rows."""
    subjects = people.subjects
    side = people.faces.images.shape[-1]
    sighting = 0
    for index, subject in enumerate(subjects):
        before = subjects[index - 1]
        images, others = people.images(subject), people.images(before)
        both = Image.new("RGB", (2 * side, side))
        for x, (person, image) in enumerate(((subject, images[0]), (before, others[-1]))):
            sighting += 1
            picture = people.picture(image)
            both.paste(picture, (x * side, 0))
            _save(picture, out / f"aligned/img/{index + 1}_{sighting}.jpg")
            yield person, f"img/{index + 1}.jpg", f"p{index}", sighting, (x * side, 0, side, side)
        _save(both, out / f"img/{index + 1}.jpg")
        for frame, image in enumerate(images[1:4], start=1):
            sighting += 1
            file = f"frame/{index + 1}_{frame:05d}.png"
            for folder in (out, out / "aligned"):
                _save(people.picture(image), folder / file)
            yield subject, file, f"v{index}", sighting, (0, 0, side, side)


def _three(rows: list[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    photographs = [row for row in rows if row[1].startswith("img")]
    frames = [row for row in rows if row[1].startswith("frame")]
    return photographs, frames, [photographs[0], *frames]


def _table(path: Path, templates: dict[int, tuple[int, list[Row]]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, (subject, rows) in templates.items():
        for _, file, medium, sighting, box in rows:
            writer.writerow((number, subject, file, medium, sighting, "", *box))
    _write(path, stream.getvalue().splitlines())


def _name(subject: int) -> str:
    return f"Person_{subject:04d}"


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0).copy())


def _encoded(image: Image.Image, format: str = "JPEG") -> bytes:
    target = io.BytesIO()
    image.save(target, format=format, quality=95)  # ignored for PNG
    return target.getvalue()


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, _encoded(image, {".jpg": "JPEG", ".png": "PNG"}[path.suffix]))


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, ("\n".join(lines) + "\n").encode())
