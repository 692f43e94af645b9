"""A message-passing network of molecules.

Paper: Justin Gilmer, Samuel S. Schoenholz, Patrick F. Riley, Oriol Vinyals and George E. Dahl,
"Neural Message Passing for Quantum Chemistry", ICML 2017, sections 5.1 to 5.3.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones import Backbone, BackboneModule, Batch, InputSpecs, VectorFeatures
from mtlkit.plugins import AssemblyError, above, at_least
from mtlkit_benchmarks.set2set import Set2Set

INPUTS = ("atoms", "positions", "mask")


@attrs.frozen(kw_only=True)
class MPNN(Backbone):
    """Messages between all atoms of a molecule, by a network of their distances (Gilmer et al.).

    Inputs are the codes `atoms` (N, L), the `positions` (N, L, 3), and the `mask` (N, L), which is
    False for padding. A distance is read as `centers` Gaussians from 0 to `cutoff`, in the unit of
    the positions. States of atoms and features of molecules have `width` numbers; the edge network
    has `hidden` units. `steps` are those of messages, and of the readout.
    """

    width: int = attrs.field(default=64, validator=at_least(1))
    hidden: int = attrs.field(default=128, validator=at_least(1))
    steps: int = attrs.field(default=3, validator=at_least(1))
    centers: int = attrs.field(default=20, validator=at_least(2))
    cutoff: float = attrs.field(default=8.0, validator=above(0))

    def build(self, inputs: InputSpecs) -> BackboneModule:
        if not isinstance(inputs, Mapping) or set(inputs) != set(INPUTS):
            named = ", ".join(inputs) if isinstance(inputs, Mapping) else "one tensor"
            raise AssemblyError(f"mpnn: got inputs {named}, expected {', '.join(INPUTS)} by name")
        elements = inputs["atoms"].vocabulary
        if elements is None:
            raise AssemblyError("mpnn: atoms: got no vocabulary, expected codes of elements")
        return MPNNModule(self, elements)


class MPNNModule(BackboneModule):
    """Map the atoms of N molecules to features (N, width).

    >>> module = MPNNModule(MPNN(width=4, hidden=8), elements=6)
    >>> atoms, positions = torch.tensor([[0, 1], [2, 5]]), torch.randn(2, 2, 3)
    >>> mask = torch.tensor([[True, True], [True, False]])
    >>> module({"atoms": atoms, "positions": positions, "mask": mask}).shape
    torch.Size([2, 4])
    """

    centers: Tensor

    def __init__(self, config: MPNN, elements: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(elements, config.width)
        self.register_buffer("centers", torch.linspace(0, config.cutoff, config.centers))
        self.gap = config.cutoff / (config.centers - 1)
        self.messages = EdgeNetworkMessages(config.width, config.centers, config.hidden)
        self.update = nn.GRUCell(config.width, config.width)
        self.readout = Set2Set(config.width, config.steps)
        self.output = nn.Linear(2 * config.width, config.width)
        self.steps = config.steps
        self.features = VectorFeatures(width=config.width)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Mapping)
        positions, mask = inputs["positions"], inputs["mask"].bool()
        between = positions.unsqueeze(2) - positions.unsqueeze(1)
        # the root of 0 has no gradient, and pairs of one atom are not edges
        distances = between.square().sum(dim=3).clamp(min=1e-12).sqrt()
        gaussians = ((distances.unsqueeze(3) - self.centers) / self.gap).square().mul(-0.5).exp()
        itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        edges = mask.unsqueeze(2) & mask.unsqueeze(1) & ~itself
        weights = self.messages.edge_weights(gaussians, edges)
        states = self.embedding(inputs["atoms"])
        for _ in range(self.steps):
            received = self.messages(states, weights).relu()
            updated = self.update(received.flatten(0, 1), states.flatten(0, 1))
            states = updated.view_as(states)
        features: Tensor = self.output(self.readout(states, mask)).relu()
        return features


class EdgeNetworkMessages(nn.Module):
    """The mean over neighbors j of A(e_ij) x_j, plus B x_i (Gilmer et al., section 5.1).

    A is a network of the features of an edge with one hidden layer. Its last layer is linear, so
    that it is applied to states of atoms before the sum over neighbors: matrices of edges are not
    stored.
    """

    def __init__(self, width: int, edge_features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(edge_features, hidden)
        self.matrices = nn.Linear(width, (hidden + 1) * width, bias=False)
        self.root = nn.Linear(width, width)
        # the sum over hidden units has the scale of one linear layer
        nn.init.normal_(self.matrices.weight, std=(width * hidden) ** -0.5)

    def edge_weights(self, features: Tensor, edges: Tensor) -> Tensor:
        """Return hidden units and a one (N, L, L, H + 1) of edges with `features` (N, L, L, F).

        Those of pairs that are not in `edges` (N, L, L) are 0, and all are divided by the number of
        neighbors.
        """
        units = self.hidden(features).relu()
        units = torch.cat([units, torch.ones_like(units[..., :1])], dim=3)
        count = edges.sum(dim=2).clamp(min=1)
        result: Tensor = units * (edges / count.unsqueeze(2)).unsqueeze(3)
        return result

    def forward(self, states: Tensor, weights: Tensor) -> Tensor:
        """Return the messages (N, L, D) of `states` (N, L, D) and `weights` of `edge_weights`."""
        samples, _, width = states.shape
        sent = self.matrices(states).view(samples, -1, width)  # (N, L (H + 1), D)
        received: Tensor = weights.flatten(2) @ sent + self.root(states)
        return received
