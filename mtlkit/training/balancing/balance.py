"""Any weighting in a training loop of the user."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from mtlkit.errors import AssemblyError
from mtlkit.task_types import LossTerm, Role
from mtlkit.training.balancing.differentiate import (
    Backward,
    differentiate,
    mean_weights,
    require_finite,
)
from mtlkit.training.balancing.full_precision import in_full_precision, keeping_dtypes
from mtlkit.training.balancing.given_losses import GivenLosses
from mtlkit.training.balancing.loop_pass import LoopPass
from mtlkit.training.balancing.parts import Features, Given, LoopUpdate, Reader
from mtlkit.training.balancing.passes import drawn, extra, rehearsed
from mtlkit.training.balancing.requirements import (
    number_of,
    require_device,
    require_gradient_mode,
    require_gradients,
    require_inputs,
    require_labels,
    require_location,
    require_same_tasks,
    require_samples,
    require_separation,
    require_state_of,
    require_synchronizable,
    roles_of,
    shared_at,
)
from mtlkit.training.batching.batches import step_info
from mtlkit.training.devices.ranks import Ranks, current_ranks
from mtlkit.training.gradients.batch import Rehearsal
from mtlkit.training.gradients.factory import allocate, require_one_kind, weighting_step
from mtlkit.training.gradients.sources import FeatureSource, GradientSource, ParameterSource
from mtlkit.training.gradients.step import StepResult, TaskWeights, WeightingStep
from mtlkit.weightings.base import Weighting, pairing_problems


def balance(
    weighting: Weighting,
    tasks: Sequence[str] | Mapping[str, Role],
    *,
    feature_width: int | None = None,
    classes: Mapping[str, int] | None = None,
    seed: int = 0,
    model: nn.Module | None = None,
) -> "Balance":
    """Return a module that turns the losses of `tasks` into one update in your training loop.

    `tasks` are names, or names with roles; without roles all are main tasks. `feature_width` is the
    width D of the shared features (N, D), needed by weightings that read them. `classes` is the
    number of classes of each task, needed to normalize losses. `seed` seeds random weightings. The
    buffers of `model` are restored after passes that only decide weights, and its names appear in
    errors. Raises `AssemblyError` if the weighting does not fit the tasks.

    >>> import torch, mtlkit
    >>> from mtlkit.weightings import CAGrad
    >>> encoder, heads = torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)
    >>> balance = mtlkit.balance(CAGrad(c=0.4), tasks=("depth", "normal"))
    >>> features = encoder(torch.randn(8, 4))
    >>> depth, normal = heads(features).square().mean(dim=0)
    >>> weights = balance.backward({"depth": depth, "normal": normal}, features=features)
    >>> encoder.weight.grad.shape, weights.shape
    (torch.Size([3, 4]), torch.Size([2]))
    """
    roles, numbers, name = roles_of(weighting, tasks), classes or {}, type(weighting).__name__
    terms = tuple(LossTerm(task, task, role, numbers.get(task, 0)) for task, role in roles.items())
    problems = [problem.message for problem in pairing_problems(weighting, terms)]
    if weighting.reads_features and feature_width is None:
        problems.append(
            f"got no `feature_width`, expected the width D of the shared features (N, D) that "
            f"{name} reads; pass feature_width=D"
        )
    if weighting.reads_classes and classes is None:
        problems.append(
            f"got no `classes`, expected the number of classes by which {name} normalizes losses; "
            f"pass classes={{'pose': 13}}, without the regression tasks"
        )
    if problems:
        raise AssemblyError(*(f"balance: {problem}" for problem in problems))
    return Balance(weighting, terms, feature_width or 0, seed=seed, model=model)


class Balance(nn.Module):
    """A weighting of the losses that a training loop computes; see `balance`.

    Its parameters are learned weights: give them to an optimizer. Its state is that of the
    weighting and the number of updates, so `state_dict` resumes exactly between two updates. In a
    process group every rank calls it with its own losses, and all ranks get equal weights.
    """

    def __init__(
        self,
        config: Weighting,
        terms: tuple[LossTerm, ...],
        feature_width: int,
        *,
        seed: int,
        model: nn.Module | None,
    ) -> None:
        super().__init__()
        self.config, self.terms, self.feature_width, self.seed = config, terms, feature_width, seed
        self.weighting = config.build(terms, feature_width)
        require_one_kind(self.weighting, config)
        self._device: Tensor
        self.register_buffer("_device", torch.zeros(()), persistent=False)
        self._model = (model,)  # a tuple, so that it is not a submodule
        self._updates, self._epoch, self._opens = 0, -1, False
        self._elements = 0  # of the gradients of a weighting with state for each of them
        self._separated = False
        self._warned: set[str] = set()  # tasks whose weight was large
        self._last: tuple[LoopUpdate, Sequence[StepResult]] | None = None

    def start_epoch(self) -> None:
        """Begin an epoch; called before its first update, for weightings that compare epochs."""
        self._epoch += 1
        self._opens = True

    def parameter_group(self, lr: float) -> dict[str, Any]:
        """Return an optimizer group of the learned weights, with their learning rate, or `lr`.

        Learned weights do not decay, since decay would bias them.
        """
        rate = self.config.own_learning_rate
        return {
            "params": list(self.parameters()),
            "lr": lr if rate is None else rate,
            "weight_decay": 0.0,
        }

    @in_full_precision
    def backward(
        self,
        losses: Given,
        *,
        features: Features | None = None,
        shared: Iterable[nn.Parameter] | None = None,
        draws: Sequence[Given] = (),
        counts: Mapping[str, float] | None = None,
        lr: float | None = None,
        scaler: torch.amp.GradScaler | None = None,
        backward: Backward | None = None,
    ) -> Tensor:
        """Add the gradient of an update to `.grad`; return the weights (T,) of the tasks, detached.

        `losses` holds a mean, or the losses (N,) of samples, for each task with a label; a pair
        (losses, mask) marks the samples with one, and losses of the others must be finite, too. It
        may be (losses, features), a function that returns either, or a list of such functions, one
        for each micro-batch.

        Task gradients are taken at `features`, the tensors that heads read, or at the parameters
        `shared`; if both are given, the weighting's option `at` decides. `draws` are functions that
        return the losses of further batches, `counts` the targets of each task over all
        micro-batches, and `lr` the learning rate: a weighting that needs one that is missing raises
        `AssemblyError`. `scaler` is that of fp16 training. `backward` replaces the backward pass
        from the scalar, as `accelerator.backward` does. Weights outside of -100 to 100 cause one
        warning a task. Raises `NotFiniteError` if a loss is not finite and there is no `scaler`.
        """
        require_gradient_mode()
        if isinstance(losses, tuple) and len(losses) == 2:
            losses, features = losses
        ranks = current_ranks()
        passes = LoopPass()
        passes.shared = shared_at(self.config, features, shared)
        step = self._step(passes, ranks)
        require_inputs(self.config, step, len(draws), lr, epochs=self._epoch >= 0)
        if self._last is not None:
            raise AssemblyError(
                f"balance.backward: got no losses after the last update, but "
                f"{type(self.config).__name__} compares them with those before; call "
                f"balance.after_step(lambda: losses_of(batch)) after optimizer.step()"
            )
        reader = self._reader(passes, ranks)
        update = reader.update(losses, features, counts)
        require_labels(update)
        if scaler is not None and scaler.is_enabled():
            passes.scale = scaler.scale(update.info.counts.new_ones(()))
        require_synchronizable(update.parts, self._model[0], ranks)
        decision = self._decide(step, update, draws, reader, lr or 0.0)
        results = differentiate(step, update, decision, passes.scale, self._model[0], backward)
        if passes.scale is None:
            require_finite(self._updates + 1, self.terms, results, self.weighting, ranks)
        self._updates, self._opens = self._updates + 1, False
        if step.after_step is not None:
            self._last = (update, results)
        return mean_weights(self._updates, self.terms, results, self._warned)

    @in_full_precision
    def after_step(self, losses: Given) -> None:
        """Pass the losses of the same batch after `optimizer.step()` to the weighting.

        `losses` are as in `backward`; a function is called without gradients, and only if the
        weighting needs it, so this may be called after every update.
        """
        if self._last is None:
            return
        update, results = self._last
        ranks = current_ranks()
        step = self._step(LoopPass(), ranks)
        earlier = update.parts[0].read() if len(update.parts) == 1 else None
        check = partial(require_same_tasks, earlier)
        reader = Reader(self.terms, ranks, update.info.step, check, self.device)
        counts: Mapping[str, float] = {}  # those of the update are used
        with torch.no_grad():
            with extra(self._model[0]):
                parts = reader.update(losses, None, counts).parts
            step.learn(
                update.info,
                results,
                lambda: Rehearsal(update.info, drawn(parts, self._model[0]), len(parts)),
            )
        self._last = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        return cast(Self, super()._apply(keeping_dtypes(fn), recurse))  # type: ignore[no-untyped-call]

    @property
    def device(self) -> torch.device:
        """The device of the weighting, which is that of the losses."""
        return self._device.device

    def get_extra_state(self) -> Tensor:
        """Return the number of updates, the epoch, whether it opens, the size, and the tasks."""
        position = [self._updates, self._epoch, self._opens, self._elements]
        return torch.tensor([*position, number_of(self.terms)])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the position, and allocate the weighting's state, which is loaded next."""
        self._updates, self._epoch, opens, elements, *tasks = state.tolist()
        require_state_of(self.terms, *tasks)
        self._opens = bool(opens)
        if elements and elements != self._elements and allocate(self.weighting, elements):
            self._elements = elements

    def _step(self, passes: LoopPass, ranks: Ranks) -> WeightingStep:
        source: GradientSource = FeatureSource(ranks)
        if passes.shared:
            source = ParameterSource(passes.shared, ranks)
            elements = sum(p.numel() for p in passes.shared)
            if self._updates == 0 and elements != self._elements:
                self._elements = elements if allocate(self.weighting, elements) else 0
            elif self._elements not in (0, elements):
                raise AssemblyError(
                    f"shared: got {elements} elements, expected the {self._elements} of the state "
                    f"of {type(self.config).__name__}; pass the same parameters in every update"
                )
        return weighting_step(passes, self.weighting, self.config, ranks, source)

    def _reader(self, passes: LoopPass, ranks: Ranks) -> Reader:
        position = step_info(self.seed, self._updates, max(self._epoch, 0), opens=self._opens)

        def check(given: GivenLosses) -> None:
            require_device(given, self.device)
            require_location(self.config, given.features, passes.shared)
            require_samples(self.config, given, self.feature_width)
            if not torch.is_grad_enabled():  # a rehearsal that only reads losses
                return
            require_gradients(self.config, given)
            if not self._separated:  # walks the whole graph, so only in the first update
                require_separation(self.config, given, passes.shared, self._model[0])
                self._separated = True

        return Reader(self.terms, ranks, position, check, self.device)

    def _decide(
        self,
        step: WeightingStep,
        update: LoopUpdate,
        draws: Sequence[Given],
        reader: Reader,
        rate: float,
    ) -> TaskWeights | None:
        """Return the decision for an update that needs other draws, or several of its parts."""
        model = self._model[0]

        def rehearse(draw: int) -> Rehearsal:
            if draw == step.trained:
                parts = rehearsed(update.parts, model)
                return Rehearsal(update.info, parts, len(update.parts))
            with extra(model):
                other = reader.update(draws[draw - (draw > step.trained)])
            require_labels(other)
            return Rehearsal(other.info, drawn(other.parts, model), len(other.parts))

        if step.draws > 1 or (step.rehearses and len(update.parts) > 1):
            return step.decide(rehearse, update.info, rate)
        return None
