"""The layouts of LFW, CFP, IJB-A and `.bin` sets, written from rendered faces.

Nobody may hand out the real sets; these have the same files and folders, so that a protocol can be
tried, and tested, by anybody. Their numbers say nothing about photographs.
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

from mtlkit_face.protocols.pictures import Pixels
from mtlkit_face.protocols.templates.ijb_a_tables import SEARCH, VERIFY

COLUMNS = (
    "TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID", "SIGHTING_ID", "FRAME",
    "FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT",
)  # fmt: skip

Pair = tuple[int, int]


@attrs.frozen(eq=False)
class People:
    """Rendered faces by person, and chance."""

    faces: RenderedSet
    random: np.random.Generator

    @property
    def subjects(self) -> list[int]:
        """Everybody, by number."""
        return sorted(set(self.faces.rows.subject.tolist()))

    def images(self, subject: int) -> list[int]:
        """A person's images, from the most frontal to the most profile."""
        rows = self.faces.rows
        own = np.flatnonzero(rows.subject == subject)
        return [int(i) for i in own[np.argsort(np.abs(rows.yaw[own]), kind="stable")]]

    def picture(self, image: int) -> Image.Image:
        """An image as Pillow has it."""
        return _image(self.faces.images[image])

    def two(self, things: Sequence[int]) -> Pair:
        """Two different ones."""
        one, other = self.random.choice(len(things), 2, replace=False)
        return things[one], things[other]

    def of_folds(self, folds: int) -> list[list[int]]:
        """The people of each fold: nobody is in two, and there are two or more in each."""
        if len(self.subjects) < 2 * folds:
            raise ValueError(
                f"expected two subjects or more for each of {folds} folds, found "
                f"{len(self.subjects)}"
            )
        return [list(map(int, part)) for part in np.array_split(self.subjects, folds)]


def write_lfw(people: People, out: Path, folds: int, each: int) -> None:
    """`pairs.txt` and a folder of images for each person."""
    lines = [f"{folds}\t{each}"]
    number = {}
    for subject in people.subjects:
        for place, image in enumerate(people.images(subject), start=1):
            number[image] = place
            name = _name(subject)
            _save(people.picture(image), out / name / f"{name}_{place:04d}.jpg")
    for group in people.of_folds(folds):
        for subject in people.random.choice(group, each).tolist():
            one, other = people.two(people.images(subject))
            lines.append(f"{_name(subject)}\t{number[one]}\t{number[other]}")
        for _ in range(each):
            fields: list[str] = []
            for subject in people.two(group):
                fields += [
                    _name(subject),
                    str(number[people.random.choice(people.images(subject))]),
                ]
            lines.append("\t".join(fields))
    _write(out / "pairs.txt", lines)


def write_cfp(people: People, out: Path, folds: int, each: int) -> None:
    """`Data` and `Protocol`: the more frontal half of each person's images, and the other."""
    lists: dict[str, list[int]] = {"F": [], "P": []}
    for subject in people.subjects:
        own = people.images(subject)
        half = len(own) // 2
        lists["F"] += own[:half]
        lists["P"] += own[half:]
    place: dict[int, tuple[str, int]] = {}
    for kind, folder in (("F", "frontal"), ("P", "profile")):
        lines, count = [], dict.fromkeys(people.subjects, 0)
        for number, image in enumerate(lists[kind], start=1):
            subject = int(people.faces.rows.subject[image])
            count[subject] += 1
            file = f"Data/Images/{subject + 1:03d}/{folder}/{count[subject]:02d}.jpg"
            _save(people.picture(image), out / file)
            lines.append(f"{number} ../{file}")
            place[image] = kind, number
        _write(out / f"Protocol/Pair_list_{kind}.txt", lines)
    for split, second in (("FF", "F"), ("FP", "P")):
        for fold, group in enumerate(people.of_folds(folds), start=1):
            root = out / f"Protocol/Split/{split}/{fold:02d}"
            for name, same in (("same", True), ("diff", False)):
                pairs = [_cfp_pair(people, group, place, second, same) for _ in range(each)]
                _write(root / f"{name}.txt", [f"{place[a][1]},{place[b][1]}" for a, b in pairs])


def _cfp_pair(
    people: People, group: list[int], place: dict[int, tuple[str, int]], kind: str, same: bool
) -> Pair:
    one, other = (int(people.random.choice(group)),) * 2 if same else people.two(group)
    first = [i for i in people.images(one) if place[i][0] == "F"]
    second = [i for i in people.images(other) if place[i][0] == kind]
    a = int(people.random.choice(first))
    return a, int(people.random.choice([i for i in second if i != a]))


def write_bin(people: People, path: Path, folds: int, each: int) -> None:
    """A pickle of encoded images and of whether they match, in the order of the folds."""
    contents, same = [], []
    for group in people.of_folds(folds):
        for number in range(2 * each):
            genuine = number < each
            a, b = (int(people.random.choice(group)),) * 2 if genuine else people.two(group)
            own = people.images(a)
            pair = (
                people.two(own)
                if genuine
                else (own[0], int(people.random.choice(people.images(b))))
            )
            contents += [_encoded(people.picture(image)) for image in pair]
            same.append(genuine)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps((contents, same), protocol=4))


def write_ijb_a(people: People, out: Path, splits: int) -> None:
    """`img` and `frame` with two people in each photograph, `aligned` faces, and the tables."""
    sightings = list(_shown(people, out))
    for split in range(1, splits + 1):
        order = people.random.permutation(people.subjects).tolist()
        third = len(order) // 3
        train, tested = order[:third], order[third:]
        verify, search = (out / kind / f"split{split}" for kind in (VERIFY, SEARCH))
        by_person = {subject: [s for s in sightings if s[0] == subject] for subject in order}
        # a template of photographs and one of a video, and a third with both
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
        known = tested[: max(2, 2 * len(tested) // 3)]  # the others are strangers
        gallery = {n: t for n, t in templates.items() if n % 3 == 2 and t[0] in known}
        _table(search / f"search_gallery_{split}.csv", gallery)
        probes = {n: t for n, t in templates.items() if n % 3 != 2}
        _table(search / f"search_probe_{split}.csv", probes)


Shown = tuple[int, str, str, int, tuple[int, int, int, int]]
"""Subject, file, medium, sighting, box."""


def _shown(people: People, out: Path) -> Iterator[Shown]:
    """Write the pictures: photographs of two people each, and a video of three frames of one."""
    subjects = people.subjects
    side = people.faces.images.shape[-1]
    sighting = 0
    for place, subject in enumerate(subjects):
        own, other = people.images(subject), people.images(subjects[place - 1])
        both = Image.new("RGB", (2 * side, side))
        for x, (who, image) in enumerate(((subject, own[0]), (subjects[place - 1], other[-1]))):
            sighting += 1
            picture = people.picture(image)
            both.paste(picture, (x * side, 0))
            _save(picture, out / f"aligned/img/{place + 1}_{sighting}.jpg")
            yield who, f"img/{place + 1}.jpg", f"p{place}", sighting, (x * side, 0, side, side)
        _save(both, out / f"img/{place + 1}.jpg")
        for frame, image in enumerate(own[1:4], start=1):
            sighting += 1
            file = f"frame/{place + 1}_{frame:05d}.png"
            for folder in (out, out / "aligned"):
                _save(people.picture(image), folder / file)
            yield subject, file, f"v{place}", sighting, (0, 0, side, side)


def _three(rows: list[Shown]) -> tuple[list[Shown], list[Shown], list[Shown]]:
    photographs = [row for row in rows if row[1].startswith("img")]
    frames = [row for row in rows if row[1].startswith("frame")]
    return photographs, frames, [photographs[0], *frames]


def _table(path: Path, templates: dict[int, tuple[int, list[Shown]]]) -> None:
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


def _encoded(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, format="JPEG", quality=95)
    return target.getvalue()


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)  # of which PNG knows nothing


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
