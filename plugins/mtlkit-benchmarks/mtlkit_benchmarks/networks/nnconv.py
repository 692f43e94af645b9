"""Message passing with a network of the edges, and Set2Set: the network of the tables of QM9.

Paper: Justin Gilmer, Samuel S. Schoenholz, Patrick F. Riley, Oriol Vinyals and George E. Dahl,
"Neural Message Passing for Quantum Chemistry", ICML 2017, section 5.
"""

from collections.abc import Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones import Backbone, BackboneModule, Batch, InputSpecs, VectorFeatures
from mtlkit.plugins import AssemblyError, at_least
from mtlkit_benchmarks.set2set import Set2Set

ATOMS, POSITIONS, MASK = "atoms", "positions", "mask"


@attrs.frozen(kw_only=True)
class NNConv(Backbone):
    """A message passing network of the complete graph of a molecule (Gilmer et al., ICML 2017).

    Inputs are codes `atoms` (N, A) of a vocabulary whose last code is padding, `positions`
    (N, A, 3), and the boolean `mask` (N, A), which is False for padding. The feature of an edge is
    its length, that of an atom its code. Messages are means over all other atoms of W(e) h, in
    which W is a network of the edge with `hidden` units. `steps` of them update the states of
    `width` with a GRU, and Set2Set reads the states in `readout` steps.
    """

    width: int = attrs.field(default=64, validator=at_least(1))
    hidden: int = attrs.field(default=128, validator=at_least(1))
    steps: int = attrs.field(default=3, validator=at_least(1))
    readout: int = attrs.field(default=3, validator=at_least(1))

    def build(self, inputs: InputSpecs) -> BackboneModule:
        if not isinstance(inputs, Mapping) or set(inputs) != {ATOMS, POSITIONS, MASK}:
            named = ", ".join(inputs) if isinstance(inputs, Mapping) else "one tensor"
            raise AssemblyError(f"nnconv: got inputs {named}, expected atoms, positions and mask")
        vocabulary = inputs[ATOMS].vocabulary
        if vocabulary is None:
            raise AssemblyError("nnconv: got atoms without a vocabulary; state it")
        return NNConvBackbone(self, vocabulary - 1)


class NNConvBackbone(BackboneModule):
    """Map molecules of `elements` kinds of atoms to features (N, width).

    W(e) = B_0 + sum_k r_k(e) B_k for the hidden units r of an edge. So the matrices B_k multiply
    the states once for each node, and a message is a weighted sum of the products: the matrix of an
    edge is never stored, and the result is the same.
    """

    def __init__(self, config: NNConv, elements: int) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.elements = elements
        self.embed = nn.Linear(elements, width)
        self.edge = nn.Sequential(nn.Linear(1, config.hidden), nn.ReLU())
        self.matrices = nn.Linear(config.hidden, width * width)
        self.own = nn.Linear(width, width)  # of a node's own state, with the bias of the message
        self.update = nn.GRUCell(width, width)
        self.readout = Set2Set(width, config.readout)
        self.last = nn.Linear(2 * width, width)
        self.features = VectorFeatures(width=width)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Mapping)
        mask = inputs[MASK].bool()
        positions = inputs[POSITIONS].float()
        lengths = (
            (positions.unsqueeze(2) - positions.unsqueeze(1)).square().sum(dim=-1, keepdim=True)
        )
        # the square root has no gradient at 0, the length of the diagonal, and positions need none
        hidden = self.edge(lengths.sqrt())
        pairs = (mask.unsqueeze(2) & mask.unsqueeze(1)).float()
        pairs = pairs * (1 - torch.eye(mask.shape[1], device=mask.device))
        pairs = pairs / pairs.sum(dim=2, keepdim=True).clamp(min=1)
        atoms = F.one_hot(inputs[ATOMS], self.elements + 1)[..., :-1]
        states = self.embed(atoms.float()).relu()
        for _ in range(self.config.steps):
            message = (self.messages(states, hidden, pairs) + self.own(states)).relu()
            flat = self.update(message.flatten(0, 1), states.flatten(0, 1))
            states = flat.view_as(states)
        features: Tensor = self.last(self.readout(states, mask)).relu()
        return features

    def messages(self, states: Tensor, hidden: Tensor, pairs: Tensor) -> Tensor:
        """Return the mean over j of W(e_ij) h_j (N, A, D); `pairs` (N, A, A) has its weights.

        `states` h are (N, A, D), and `hidden` (N, A, A, K) are the hidden units of the edges.
        """
        size = states.shape[-1]
        bases = self.matrices.weight.view(size, size, -1)  # (given D, returned D, K)
        products = torch.einsum("nad,dek->naek", states, bases)
        weighted = hidden * pairs.unsqueeze(-1)
        message = torch.einsum("nijk,njek->nie", weighted, products)
        constant = states @ self.matrices.bias.view(size, size)
        return message + pairs @ constant
