"""A claim of the paper, its verdict, and the evidence or the seeds that are missing."""

from collections.abc import Callable, Iterable, Sequence

import attrs

from mtlkit.comparison import ALPHA, holm
from mtlkit_face.study.claim_parts import ClaimPart, ClaimState, Runs, claim_p, claim_state


@attrs.frozen(kw_only=True)
class Hypothesis:
    """A claim of the paper, and the differences that are positive if it is true."""

    name: str
    claim: str
    parts: Callable[[Runs], Iterable[ClaimPart]]

    def test(self, runs: Runs) -> "ClaimResult":
        """Test the claim on `runs`."""
        parts = tuple(self.parts(runs))
        return ClaimResult(
            name=self.name,
            claim=self.claim,
            parts=parts,
            state=claim_state(parts),
            p=claim_p(parts),
        )


@attrs.frozen(kw_only=True)
class ClaimResult:
    """A claim with its verdict, the differences tested, and the p-value of the verdict.

    `p` is adjusted for the number of claims (`tests`), if more than one was tested.
    """

    name: str
    claim: str
    parts: tuple[ClaimPart, ...]
    state: ClaimState
    p: float
    tests: int = 1

    def evidence(self) -> str:
        """Return the p-value of a decided claim, or the seeds that are missing.

        >>> part = ClaimPart(unit="gain", arms=("m-cnn", "s-cnn"))
        >>> Hypothesis(name="H", claim="", parts=lambda runs: [part]).test({}).evidence()
        'no common seeds of m-cnn, s-cnn'
        """
        if self.state is ClaimState.NOT_RUN:
            present = {arm for part in self.parts if part.values for arm in part.arms}
            arms = dict.fromkeys(arm for part in self.parts if not part.values for arm in part.arms)
            absent = [arm for arm in arms if arm not in present] or [*arms]
            return f"no {'common ' if len(absent) > 1 else ''}seeds of {', '.join(absent)}"
        if self.state is not ClaimState.UNDECIDED:
            return f"p = {self.p:.2g}"
        missing = 0
        for part in self.parts:
            if part.p < ALPHA / self.tests:
                continue
            needed = part.seeds_needed(self.tests)
            if needed is None:
                few = len(part.values) < 2
                return "2 seeds or more are missing" if few else "1,000 seeds would not decide it"
            missing = max(missing, needed - len(part.values))
        return f"{max(missing, 1)} seed{'s' if missing > 1 else ''} missing"


def judge_all(hypotheses: Sequence[Hypothesis], runs: Runs) -> list[ClaimResult]:
    """Return every claim with its verdict on `runs`, adjusted for the number of claims (Holm).

    Claims without runs are not counted. A verdict whose adjusted p-value is 0.05 or more is
    undecided.
    """
    results = [hypothesis.test(runs) for hypothesis in hypotheses]
    tested = [result for result in results if result.state is not ClaimState.NOT_RUN]
    adjusted = dict(zip((t.name for t in tested), holm([t.p for t in tested]), strict=True))
    return [
        attrs.evolve(
            result,
            p=adjusted[result.name],
            tests=len(tested),
            state=result.state if adjusted[result.name] < ALPHA else ClaimState.UNDECIDED,
        )
        if result.name in adjusted
        else result
        for result in results
    ]
