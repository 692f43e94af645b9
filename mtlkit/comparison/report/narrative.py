"""The text of a report around its tables, shared by the page and Markdown."""

from collections.abc import Mapping

import attrs

from mtlkit.comparison.analysis.evidence import Evidence, Verdict, deciding_budget, gather
from mtlkit.comparison.analysis.ranks import Ranking, rank_methods
from mtlkit.comparison.analysis.statistics import ALPHA
from mtlkit.comparison.analysis.text import SPOKEN, counted, listed, p_value
from mtlkit.comparison.analysis.verdict import headline, verdicts
from mtlkit.comparison.results.record import Budget, Stage
from mtlkit.comparison.results.study_results import BASELINE_ROLES, StudyResults


@attrs.frozen(kw_only=True)
class Narrative:
    """The text of a study's report; `by_problem` has the ranks within each problem."""

    evidence: Evidence
    headline: str
    verdicts: tuple[Verdict, ...]
    ranks: Ranking
    by_problem: Mapping[str, Ranking]

    def lead(self) -> str:
        """Return a sentence about the size of the study."""
        study = self.evidence.study
        parts = [
            counted(len(study.methods), "method"),
            counted(len(study.problems), "problem"),
            counted(len(study.seeds), "seed"),
            counted(study.trials, "trial") + " for each method" if study.trials else "",
        ]
        return " · ".join(part for part in parts if part) + "."

    def notices(self) -> list[str]:
        """Return that runs have not ended or have failed."""
        study = self.evidence.study
        notices = []
        missing = study.missing()
        if missing:
            counts = [counted(n, name.rstrip("s")) for name, n in missing.items()]
            verb = "has" if list(missing.values()) == [1] else "have"
            notices.append(
                f"The study is not finished: {listed(counts)} {verb} not ended. What follows is "
                f"of those that have."
            )
        failed = study.failed()
        if failed:
            finals = sum(record.stage is Stage.FINAL for record in failed)
            notices.append(
                f"{counted(len(failed), 'run')} failed, {finals} of them final; a method is judged "
                f"by the seeds that it finished, which may flatter it."
            )
        return notices

    def left_out(self) -> list[str]:
        """Return the baselines that are not part of the study, with the reasons given."""
        study = self.evidence.study
        lines = [f"The baseline {role} was left out: {why}" for role, why in study.without.items()]
        absent = [r for r in BASELINE_ROLES if study.baseline(r) is None and r not in study.without]
        if absent:
            lines.append(f"Without a reason given, the study lacks {listed(absent)}.")
        return lines

    def judged(self, problem: str) -> str:
        """Return a sentence about the metrics of a problem, the primary ones by task."""
        parts = [
            f"{judged.task} by {judged.metric} ({'higher' if judged.higher_is_better else 'lower'}"
            f" is better{_chance(judged.chance_level)})"
            for judged in self.evidence.study.metrics(problem)
        ]
        return f"Judged: {listed(parts)}." if parts else "No task is judged."

    def about_ranks(self) -> str:
        """Return a text about the basis of the ranks and their limits."""
        ranks = self.ranks
        text = (
            f"Mean rank over {counted(len(ranks.blocks), 'block')}, 1 is best; a bar joins methods "
            f"that are not distinguished (Wilcoxon, Holm, 5%). A block is a seed of a problem, in "
            f"which methods rank by their mean rank over its tasks."
        )
        if ranks.friedman is not None:
            verb = "shows" if ranks.friedman < ALPHA else "does not show"
            text += f" Friedman's test {verb} that ranks differ ({p_value(ranks.friedman)})."
        if ranks.powerless:
            text += (
                f" With {counted(len(ranks.ranks), 'method')} and so few blocks no pair can be "
                f"distinguished, whatever the results: the bar means nothing here."
            )
        absent = [m for m in self.evidence.study.methods if m not in ranks.ranks]
        if absent:
            text += f" Not ranked for want of results: {listed(absent)}."
        return text

    def fair(self) -> dict[str, str]:
        """Return the measures that keep the comparison fair."""
        study = self.evidence.study
        facts = {
            "trials": f"{study.trials} for each method, baselines included"
            if study.trials
            else "none: every method ran with the settings of its recipe",
            "selection": study.selection or "on the validation split",
            "test split": "read once, by the final runs; no setting was chosen on it",
            "seeds": f"{', '.join(map(str, study.seeds))}; paired: seed by seed every method is "
            f"compared with the baseline's run of the same seed",
            "budgets": listed([f"equal {budget.value}" for budget in study.budgets])
            + f"; equal {deciding_budget(study).value} decides",
            "baselines": listed(
                [f"{r} ({SPOKEN[r]})" for r in BASELINE_ROLES if study.baseline(r) is not None]
            )
            if any(study.baseline(role) for role in BASELINE_ROLES)
            else "none",
            "Δm": "the mean over all metrics of all tasks of the improvement over the baseline's "
            "mean in percent, above zero is better (Liu et al., NeurIPS 2021, whose sign is the "
            "opposite)",
            "tests": f"Student's paired test; one family of {len(self.evidence.family.comparisons)}"
            f" comparisons, adjusted so that the chance of one or more false findings is 5% (Holm)",
        }
        if Budget.TIME in study.budgets:
            facts["equal time"] = "a method is charged for the cost of its steps in epochs"
        return facts


def narrate(study: StudyResults) -> Narrative:
    """Return the text of the study's report."""
    evidence, budget = gather(study), deciding_budget(study)
    return Narrative(
        evidence=evidence,
        headline=headline(evidence),
        verdicts=verdicts(evidence),
        ranks=rank_methods(study, budget),
        by_problem={
            problem: rank_methods(attrs.evolve(study, problems=(problem,)), budget)
            for problem in study.problems
        },
    )


def _chance(level: float | None) -> str:
    return "" if level is None else f"; chance level {level:.3g}"
