"""The protocols as evaluators of a recipe: their options, without anything heavy."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtlkit.config import Problem, above, at_least, at_least_number, each, member_of, optional
from mtlkit.evaluation.configs import Evaluator, Findings
from mtlkit.vocabulary import Kind, LossTerm

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data
    from mtlkit.evaluation.trained import Trained
    from mtlkit.model import MultiTaskModel
    from mtlkit_face.protocols.result import Outcome


Progress = Callable[[int], None]
"""Is told how many pictures more are done."""


def silence(done: int) -> None:
    """Tells nobody."""


class Mode(Enum):
    """Whose rules decide: those of the definition, or those that the common kits follow."""

    STRICT = "strict"
    COMPATIBLE = "compatible"


class Faces(Enum):
    """The two protocols of CFP."""

    FRONTAL_FRONTAL = "frontal-frontal"
    FRONTAL_PROFILE = "frontal-profile"


@attrs.frozen(kw_only=True)
class Protocol(Evaluator):
    """What all protocols have in common: how a picture is matched, and whose rules decide.

    `task` is the task whose outputs are matched. With `mirror` the template of a picture is the
    mean of its own and its mirror image's. `count_failures` counts a picture that is missing or
    cannot be read as one that nobody is recognised by; without, it stops the evaluation. None
    leaves that to the mode: strict stops, compatible counts. `batch` pictures are embedded at a
    time.
    """

    task: str = "identity"
    mode: Mode = attrs.field(default=Mode.STRICT, validator=member_of(Mode))
    mirror: bool = True
    count_failures: bool | None = None
    batch: int = attrs.field(default=128, validator=at_least(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = {term.task: term for term in terms}
        if self.task not in known:
            tasks = ", ".join(known)
            yield Problem(("task",), f"no task named {self.task!r}; the tasks are {tasks}")
        elif known[self.task].kind is not Kind.CLASSIFICATION:
            yield Problem(("task",), f"the task {self.task!r} predicts no classes")

    @property
    def counts_failures(self) -> bool:
        """Whether failures are counted, by the option or else by the mode."""
        return self.mode is Mode.COMPATIBLE if self.count_failures is None else self.count_failures

    @property
    @abstractmethod
    def name(self) -> str:
        """The protocol's name in a result and in the metrics."""

    @property
    def prefix(self) -> str:
        return f"face/{self.name}" + ("" if self.mode is Mode.STRICT else "/compatible")

    def check(self, data: "Data") -> None:
        self.look()

    @abstractmethod
    def look(self) -> None:
        """Read the lists and look for the files; `DataError` where the set is not as it must be."""

    @abstractmethod
    def outcome(
        self,
        model: "MultiTaskModel",
        progress: Progress = silence,
        weights: str | None = None,
    ) -> "Outcome":
        """The result of a model, with what to show of it; `weights` is the SHA-256 of its file."""

    def evaluate(self, trained: "Trained") -> Findings:
        return self.outcome(trained.model).findings()


@attrs.frozen(kw_only=True)
class PairProtocol(Protocol):
    """A protocol of pairs in folds: accuracy, EER and AUC by fold, and TAR at each FAR of `far`."""

    far: tuple[float, ...] = attrs.field(default=(0.01, 0.001), validator=each(above(0)))


@attrs.frozen(kw_only=True)
class Lfw(PairProtocol):
    """LFW, View 2: ten folds of pairs, each judged at a threshold that the other nine chose.

    `images` holds the folders of people, aligned already; `pairs` is the list, by default
    `pairs.txt` there or one folder up. Relative paths start from the working directory. The strict
    mode expects `folds` folds of `fold_pairs` pairs of each kind.

    >>> Lfw(images=Path("lfw")).prefix
    'face/lfw'
    """

    images: Path
    pairs: Path | None = None
    folds: int = attrs.field(default=10, validator=at_least(2))
    fold_pairs: int = attrs.field(default=300, validator=at_least(1))

    @property
    def name(self) -> str:
        return "lfw"

    def look(self) -> None:
        from mtlkit_face.protocols.pairs.evaluate import looked_at_lfw

        looked_at_lfw(self)

    def outcome(
        self,
        model: "MultiTaskModel",
        progress: Progress = silence,
        weights: str | None = None,
    ) -> "Outcome":
        from mtlkit_face.protocols.pairs.evaluate import lfw

        return lfw(self, model, progress, weights)


@attrs.frozen(kw_only=True)
class Cfp(PairProtocol):
    """CFP: frontal faces verified with frontal ones and with profiles, in ten folds each.

    `images` holds `Data`, aligned already; `protocol` the lists, by default `images/Protocol`.
    Relative paths start from the working directory. The strict mode expects `folds` folds of
    `fold_pairs` pairs of each kind.

    >>> Cfp(images=Path("cfp"), faces=(Faces.FRONTAL_PROFILE,)).name
    'cfp'
    """

    images: Path
    protocol: Path | None = None
    faces: tuple[Faces, ...] = attrs.field(
        default=(Faces.FRONTAL_FRONTAL, Faces.FRONTAL_PROFILE), validator=each(member_of(Faces))
    )
    folds: int = attrs.field(default=10, validator=at_least(2))
    fold_pairs: int = attrs.field(default=350, validator=at_least(1))

    @property
    def name(self) -> str:
        return "cfp"

    def look(self) -> None:
        from mtlkit_face.protocols.pairs.evaluate import looked_at_cfp

        looked_at_cfp(self)

    def outcome(
        self,
        model: "MultiTaskModel",
        progress: Progress = silence,
        weights: str | None = None,
    ) -> "Outcome":
        from mtlkit_face.protocols.pairs.evaluate import cfp

        return cfp(self, model, progress, weights)


@attrs.frozen(kw_only=True)
class VerificationBin(PairProtocol):
    """A `.bin` set of pairs of aligned faces, read without running what is pickled in it.

    `file` is the set; a relative path starts from the working directory. The strict mode expects
    pairs that divide into `folds` equal folds, both kinds in each.

    >>> VerificationBin(file=Path("sets/agedb_30.bin")).prefix
    'face/verification-bin/agedb_30'
    """

    file: Path
    folds: int = attrs.field(default=10, validator=at_least(2))

    @property
    def name(self) -> str:
        return f"verification-bin/{self.file.stem}"

    def look(self) -> None:
        from mtlkit_face.protocols.pairs.evaluate import looked_at_bin

        looked_at_bin(self)

    def outcome(
        self,
        model: "MultiTaskModel",
        progress: Progress = silence,
        weights: str | None = None,
    ) -> "Outcome":
        from mtlkit_face.protocols.pairs.evaluate import verification_bin

        return verification_bin(self, model, progress, weights)


@attrs.frozen(kw_only=True)
class IjbA(Protocol):
    """IJB-A: templates of many pictures compared one to one and searched for, over ten splits.

    `images` holds `img` and `frame`; `protocol` the folders `IJB-A_11_sets` and `IJB-A_1N_sets`,
    by default `images`. Relative paths start from the working directory. With `margin` the face
    boxes, enlarged by so much of their sides, are cut out of the pictures; None takes the pictures
    as aligned faces, each named as the list says or, where one picture shows several people, with
    its sighting behind the name: `img/7.jpg`, `img/7_345.jpg`. `well_aligned` is a list of files,
    one a line: a template that has any of them is made of those alone. The strict mode expects
    `splits` splits.

    >>> IjbA(images=Path("ijb-a")).fpir
    (0.1, 0.01)
    """

    images: Path
    protocol: Path | None = None
    margin: float | None = attrs.field(default=None, validator=optional(at_least_number(0)))
    well_aligned: Path | None = None
    splits: int = attrs.field(default=10, validator=at_least(1))
    far: tuple[float, ...] = attrs.field(default=(0.01, 0.001), validator=each(above(0)))
    fpir: tuple[float, ...] = attrs.field(default=(0.1, 0.01), validator=each(above(0)))
    ranks: tuple[int, ...] = attrs.field(default=(1, 5), validator=each(at_least(1)))

    @property
    def name(self) -> str:
        return "ijb-a"

    def look(self) -> None:
        from mtlkit_face.protocols.templates.evaluate import looked_at_ijb_a

        looked_at_ijb_a(self)

    def outcome(
        self,
        model: "MultiTaskModel",
        progress: Progress = silence,
        weights: str | None = None,
    ) -> "Outcome":
        from mtlkit_face.protocols.templates.evaluate import ijb_a

        return ijb_a(self, model, progress, weights)
