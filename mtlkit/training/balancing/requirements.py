"""Refuse an update of a user's loop that lacks an input of its weighting."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlkit.checksums import checksum
from mtlkit.errors import AssemblyError
from mtlkit.task_types import LossTerm, Role
from mtlkit.training.balancing.given_losses import GivenLosses
from mtlkit.training.balancing.graph_paths import depends_on, leaves_of
from mtlkit.training.balancing.loop_pass import LoopPart
from mtlkit.training.balancing.parts import LoopUpdate
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.factory import gradient_options
from mtlkit.training.gradients.step import WeightingStep
from mtlkit.training.sharding.whole_model import is_fsdp_shard
from mtlkit.weightings.base import GradientLocation, Weighting

CALL = "balance.backward(losses, "


def roles_of(weighting: object, tasks: Sequence[str] | Mapping[str, Role]) -> Mapping[str, Role]:
    """Return the role of each task, main without one; refuse other weightings, names or roles."""
    if not isinstance(weighting, Weighting):
        got = weighting.__name__ if isinstance(weighting, type) else repr(weighting)
        raise AssemblyError(
            f"weighting: got {got}, expected a weighting with its options; call "
            f"mtlkit.balance(CAGrad(c=0.4), tasks)"
        )
    roles = tasks if isinstance(tasks, Mapping) else dict.fromkeys(tasks, Role.MAIN)
    names = all(isinstance(task, str) for task in roles)
    if isinstance(tasks, str) or len(roles) < len(tasks) or not names:
        raise AssemblyError(f"tasks: got {tasks!r}, expected distinct names: ('depth', 'normal')")
    for task, role in roles.items():
        if not isinstance(role, Role):
            raise AssemblyError(f"tasks.{task}: got {role!r}, expected Role.MAIN or Role.SIDE")
    return roles


def shared_at(
    config: Weighting, features: object, shared: Iterable[nn.Parameter] | None
) -> list[nn.Parameter]:
    """Return the trained parameters at which gradients are taken; empty for the features.

    Raises `AssemblyError` for anything but parameters.
    """
    for kind, other in (("module", nn.Module), ("single", Tensor)):
        if isinstance(shared, other):
            raise AssemblyError(
                f"shared: got the {kind} {type(shared).__name__}, expected parameters; call "
                f"{CALL}shared=model.encoder.parameters())"
            )
    parameters = list(shared or ())
    for p in parameters:
        if not isinstance(p, Tensor):
            raise AssemblyError(f"shared: got {type(p).__name__}, expected parameters")
    options = gradient_options(config)
    at_features = options is None or options.at is GradientLocation.FEATURES
    if at_features and features is not None:
        return []
    return [p for p in parameters if p.requires_grad]


def require_gradient_mode() -> None:
    """Refuse an update under `torch.no_grad()` or `torch.inference_mode()`."""
    if not torch.is_grad_enabled():
        raise AssemblyError(
            "balance.backward: got a call without gradients, as in torch.no_grad(); compute the "
            "losses and call it outside"
        )


def number_of(terms: Sequence[LossTerm]) -> int:
    """Return a number below 2^48 that differs for other tasks, or another order of them."""
    return int(checksum(f"{term.name}\0".encode() for term in terms)[:12], 16)


def require_state_of(terms: Sequence[LossTerm], tasks: int | None = None) -> None:
    """Refuse a state with the number of other `tasks`; that of an earlier version has none."""
    if tasks not in (None, number_of(terms)):
        raise AssemblyError(
            f"balance.load_state_dict: got the state of other tasks or of another order, expected "
            f"that of {', '.join(term.name for term in terms)}; create the balance with the tasks "
            f"and the order of the state"
        )


def require_location(
    config: Weighting, features: Sequence[Tensor], shared: Sequence[nn.Parameter]
) -> None:
    """Refuse gradients without a location, or at one that the weighting cannot use."""
    options = gradient_options(config)
    if options is None:
        return
    name = type(config).__name__
    if not features and not shared:
        raise AssemblyError(
            f"balance.backward: got neither `features` nor `shared`, expected the location at "
            f"which {name} compares the tasks' gradients; call {CALL}features=features)"
        )
    if options.at is GradientLocation.LAST_SHARED_LAYER and not (features and shared):
        raise AssemblyError(
            f"balance.backward: got one of `features` and `shared`, expected both for {name} at "
            f"the last shared layer; call {CALL}features=features, "
            f"shared=model.encoder[-1].parameters())"
        )
    if options.at is GradientLocation.PARAMETERS and not shared:
        raise AssemblyError(
            f"balance.backward: got `features` only, expected the shared parameters for {name}; "
            f"call {CALL}shared=model.encoder.parameters())"
        )
    if any(is_fsdp_shard(p) for p in shared):
        raise AssemblyError(
            f"balance.backward: got sharded parameters in `shared`, expected whole ones; take the "
            f"gradients of {name} at the features: {CALL}features=features)"
        )


def require_inputs(
    config: Weighting, step: WeightingStep, draws: int, lr: float | None, *, epochs: bool
) -> None:
    """Refuse an update without the draws, the learning rate or the epochs that are read."""
    name = type(config).__name__
    if config.reads_epochs and not epochs:
        raise AssemblyError(
            f"balance.backward: got no epoch, but {name} compares the losses of epochs; call "
            f"balance.start_epoch() at the start of each epoch"
        )
    if step.draws > 1 and draws != step.draws - 1:
        example = ", ".join(["lambda: losses_of(next(batches))"] * (step.draws - 1))
        raise AssemblyError(
            f"balance.backward: got {draws} draws, expected {step.draws - 1} for {name}, which "
            f"compares the gradients of independent batches; call {CALL}..., draws=[{example}])"
        )
    if lr is not None and not 0 <= lr < math.inf:
        raise AssemblyError(f"lr: got {lr!r}, expected a finite learning rate of at least 0")
    if step.reads_rate and lr is None:
        raise AssemblyError(
            f"balance.backward: got no `lr`, expected the learning rate for the trial step of "
            f"{name}; call {CALL}..., lr=optimizer.param_groups[0]['lr'])"
        )


def require_labels(update: LoopUpdate) -> None:
    """Refuse an update in which no task has a label in any process."""
    if not len(update.info.indices):
        raise AssemblyError(
            "losses: got no label of any task; skip a batch in which no task has a label"
        )


def require_samples(config: Weighting, given: GivenLosses, width: int) -> None:
    """Refuse mean losses and missing features for a weighting that weighs samples."""
    if not config.reads_features:
        return
    name = type(config).__name__
    if given.means_only:
        raise AssemblyError(
            f"losses: got means, expected the losses (N,) of the same samples for {name}, which "
            f"weighs each sample; use reduction='none', and mask missing labels: "
            f"losses['pose'] = (loss, labels >= 0)"
        )
    shape = tuple(given.features[0].shape) if given.features else None
    if shape != (given.samples, width):
        raise AssemblyError(
            f"features: got {'none' if shape is None else shape}, expected the shared features "
            f"({given.samples}, {width}) that {name} reads; call {CALL}features=features)"
        )


def require_device(given: GivenLosses, device: torch.device) -> None:
    """Refuse losses on a device other than that of the weighting."""
    if given.first.device != device:
        raise AssemblyError(
            f"losses: got tensors on {given.first.device}, but the weighting is on {device}; call "
            f"balance.to({str(given.first.device)!r}) before the optimizer is built"
        )


def require_same_tasks(earlier: GivenLosses | None, given: GivenLosses) -> None:
    """Refuse losses after an update that are not of the tasks of the `earlier` ones."""
    if earlier is not None and given.values.keys() != earlier.values.keys():
        before, after = (
            ", ".join(repr(losses.terms[index].name) for index in losses.values)
            for losses in (earlier, given)
        )
        raise AssemblyError(
            f"balance.after_step: got the losses of {after}, expected those of {before}; pass the "
            f"losses of the same batch as to balance.backward"
        )


def require_synchronizable(
    parts: Sequence[LoopPart], model: nn.Module | None, ranks: Ranks
) -> None:
    """Refuse several micro-batches in several processes without the module that reduces."""
    if ranks.world > 1 and len(parts) > 1 and model is None:
        raise AssemblyError(
            f"balance.backward: got {len(parts)} micro-batches in {ranks.world} processes, "
            f"expected the wrapped model, whose reduction of gradients waits for the last one; "
            f"call mtlkit.balance(..., model=ddp)"
        )


def require_gradients(config: Weighting, given: GivenLosses) -> None:
    """Refuse losses, and features at which gradients are taken, without a graph."""
    for index, value in given.values.items():
        if not value.requires_grad:
            raise AssemblyError(
                f"losses.{given.terms[index].name}: got a loss without a gradient; leave the "
                f"task out of `losses` if the batch has no label of it"
            )
    if gradient_options(config) and not all(f.requires_grad for f in given.features):
        raise AssemblyError(
            "features: got a tensor without a gradient, as of a frozen encoder; call "
            "features.requires_grad_() before the heads"
        )


def require_separation(
    config: Weighting, given: GivenLosses, shared: Sequence[nn.Parameter], model: nn.Module | None
) -> None:
    """Refuse features or parameters that do not separate the shared network from the heads."""
    options = gradient_options(config)
    if options is None:
        return
    named = {p: name for name, p in model.named_parameters()} if model is not None else {}
    if not given.features:
        reached = [leaf for value in given.values.values() for leaf in leaves_of([value], shared)]
        twice = [leaf for leaf, losses in Counter(reached).items() if losses > 1]
        if twice:
            raise AssemblyError(
                f"shared: got no {_shown(twice, named)}, which several losses read; pass all "
                f"parameters that tasks share, or also the tensors that heads read as `features`"
            )
        return
    if any(depends_on(feature, given.features) for feature in given.features):
        raise AssemblyError(
            "features: got a tensor that is computed from another one, expected separate ends of "
            "the encoder; give the heads a view of the earlier one, and pass the view: "
            "features=[last, early.view_as(early)]"
        )
    behind = set(leaves_of(given.values.values(), given.features))
    before = leaves_of(given.features)
    around = [leaf for leaf in before if leaf in behind]
    if around:
        raise AssemblyError(
            f"features: got losses that read {_shown(around, named)} through `features` and "
            f"around them; pass every tensor that heads read: features=[first, second]"
        )
    passed = set(shared)
    missing = [leaf for leaf in before if leaf not in passed]
    if options.returns_direction and shared and missing:
        raise AssemblyError(
            f"shared: got no {_shown(missing, named)}, expected all parameters before `features`, "
            f"since {type(config).__name__} returns a direction for them"
        )


def _shown(leaves: Sequence[Tensor], named: "dict[nn.Parameter, str]") -> str:
    """Return the names of some parameters, or their shapes if these have no name."""
    names = [named.get(leaf, f"a parameter {tuple(leaf.shape)}") for leaf in leaves[:3]]  # type: ignore[call-overload]
    more = f" and {len(leaves) - 3} more" if len(leaves) > 3 else ""
    return ", ".join(names) + more
