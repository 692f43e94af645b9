"""The backbone `mpnn` and its parts."""

import pytest
import torch
from mtlkit_benchmarks.mpnn import MPNN, EdgeNetworkMessages
from mtlkit_benchmarks.set2set import Set2Set

from mtlkit.data import InputSpec
from mtlkit.plugins import AssemblyError

SPECS = {
    "atoms": InputSpec(shape=(5,), dtype="int64", vocabulary=6),
    "positions": InputSpec(shape=(5, 3)),
    "mask": InputSpec(shape=(5,), dtype="bool"),
}


def molecules(sizes):
    generator = torch.Generator().manual_seed(0)
    shape = (len(sizes), max(sizes))
    return {
        "atoms": torch.randint(5, shape, generator=generator),
        "positions": torch.randn(*shape, 3, generator=generator),
        "mask": torch.arange(max(sizes)) < torch.tensor(sizes).unsqueeze(1),
    }


def test_a_message_is_the_mean_over_edges_of_a_matrix_times_a_state():
    """The definition, an edge at a time: the matrix of an edge is a network of its features."""
    width, hidden = 3, 4
    module = EdgeNetworkMessages(width, edge_features=2, hidden=hidden)
    states, features = torch.randn(1, 5, width), torch.randn(1, 5, 5, 2)
    edges = torch.rand(1, 5, 5) < 0.6
    edges[0, 2] = False  # an atom without a neighbor
    weights = module.edge_weights(features, edges)
    received = module(states, weights)[0]
    last = module.matrices.weight.view(hidden + 1, width, width)
    for target in range(5):
        sources = edges[0, target].nonzero().flatten().tolist()
        total = torch.zeros(width)
        for source in sources:
            units = module.hidden(features[0, target, source]).relu()
            matrix = torch.einsum("h,hij->ij", units, last[:-1]) + last[-1]
            total = total + matrix @ states[0, source]
        expected = total / max(len(sources), 1) + module.root(states[0, target])
        torch.testing.assert_close(received[target], expected)


def test_set2set_is_attention_over_the_set_by_an_lstm():
    module = Set2Set(width=3, steps=2)
    elements = torch.randn(1, 4, 3)
    both, state = torch.zeros(1, 6), (torch.zeros(1, 3), torch.zeros(1, 3))
    for _ in range(2):
        state = module.query(both, state)
        attention = (elements[0] @ state[0][0]).softmax(dim=0)
        both = torch.cat([state[0], (attention @ elements[0]).unsqueeze(0)], dim=1)
    padded = torch.cat([elements, torch.randn(1, 2, 3)], dim=1)
    mask = torch.arange(6).unsqueeze(0) < 4
    torch.testing.assert_close(module(padded, mask), both)


def test_features_of_a_molecule_depend_on_it_alone_and_not_on_its_pose():
    module = MPNN(width=8, hidden=6).build(SPECS)
    batch = molecules([3, 1, 5])
    features = module(batch)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3))
    moved = {**batch, "positions": batch["positions"] @ rotation + 2.0}
    torch.testing.assert_close(module(moved), features, rtol=1e-4, atol=1e-5)
    alone = {name: values[:1, :3].flip(1) for name, values in batch.items()}
    torch.testing.assert_close(module(alone)[0], features[0], rtol=1e-4, atol=1e-5)


def test_gradients_of_molecules_with_coinciding_atoms_are_finite():
    module = MPNN(width=4, hidden=4).build(SPECS)
    batch = molecules([3, 1])
    batch["positions"] = torch.zeros(2, 3, 3, requires_grad=True)
    module(batch).sum().backward()
    assert batch["positions"].grad.isfinite().all()


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        (InputSpec(shape=(3,)), "got inputs one tensor, expected atoms, positions, mask"),
        ({"atoms": SPECS["atoms"]}, "got inputs atoms, expected atoms, positions, mask"),
        ({**SPECS, "atoms": InputSpec(shape=())}, "atoms: got no vocabulary, expected codes"),
    ],
)
def test_other_inputs_are_refused(inputs, fault):
    with pytest.raises(AssemblyError, match=fault):
        MPNN().build(inputs)
