"""The spec of an input refuses a normalization that does not fit it."""

import pytest
import torch

from mtlkit.backbones import image_input, one_input
from mtlkit.data import InputSpec
from mtlkit.errors import AssemblyError, DataError
from mtlkit.features.inputs import described_inputs, map_batch
from mtlkit.features.normalization import InputNormalization


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mean": (1.0, 2.0)},
            "inputs: got 2 values of `mean` for samples of shape (3, 8, 8), expected one, or one "
            "for each channel",
        ),
        (
            {"std": (1.0, 2.0)},
            "inputs: got 2 values of `std` for samples of shape (3, 8, 8), expected one, or one "
            "for each channel",
        ),
        ({"std": (0.0,)}, "inputs: got std (0.0,), expected numbers above 0"),
        (
            {"mean": (0.0,), "vocabulary": 10},
            "inputs: got a `mean` of ids of a vocabulary; remove it",
        ),
        (
            {"standardize": True},
            "inputs: got `standardize` without a `mean`; state a mean, such as 0",
        ),
        (
            {"shape": (), "mean": (0.0,), "standardize": True},
            "inputs: got `standardize` of samples of one number; leave it out",
        ),
    ],
)
def test_misfits_are_refused(options, message):
    with pytest.raises(DataError) as caught:
        InputSpec(**{"shape": (3, 8, 8), **options})
    assert str(caught.value) == message


def test_a_backbone_of_one_input_refuses_several():
    spec = InputSpec(shape=(4,))
    assert one_input(spec, "mlp") is spec
    with pytest.raises(AssemblyError) as caught:
        one_input({"ids": spec, "mask": spec}, "mlp")
    assert str(caught.value) == (
        "mlp: got inputs of several tensors (ids, mask), expected one tensor; use a backbone that "
        "reads them by name"
    )


@pytest.mark.parametrize("shape", [(4,), (1, 8, 20)])
def test_a_backbone_of_images_refuses_others(shape):
    with pytest.raises(AssemblyError) as caught:
        image_input(InputSpec(shape=shape), "unet", 16)
    assert str(caught.value) == (
        f"unet expects images (C, H, W) of at least 16 pixels a side, got samples of shape {shape}"
    )


def test_functions_apply_to_each_tensor():
    values = torch.arange(3)
    assert map_batch(lambda x: x + 1, values).tolist() == [1, 2, 3]
    assert map_batch(len, {"a": values, "b": values[:2]}) == {"a": 3, "b": 2}


def test_standardized_samples_have_mean_0_and_standard_deviation_1():
    spec = InputSpec(shape=(3, 8, 8), mean=(127.5,), std=(128.0,), standardize=True)
    values = 255 * torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    values[2] = 7.0  # a flat sample has no contrast to enlarge
    result = InputNormalization(spec)(values)
    torch.testing.assert_close(result.mean((1, 2, 3)), torch.zeros(4), rtol=0, atol=1e-6)
    deviations = result.flatten(1).std(1, correction=0)
    torch.testing.assert_close(deviations, torch.tensor([1.0, 1.0, 0.0, 1.0]))
    changed = InputNormalization(spec)(0.5 * values + 40)
    torch.testing.assert_close(changed, result, rtol=1e-4, atol=1e-5)
    assert described_inputs(spec).endswith("normalized by 127.5, 128.0, each sample standardized")


def test_an_empty_batch_is_standardized_and_a_flat_sample_has_finite_gradients():
    normalization = InputNormalization(InputSpec(shape=(1, 4, 4), mean=(0.0,), standardize=True))
    assert normalization(torch.zeros(0, 1, 4, 4)).shape == (0, 1, 4, 4)
    flat = torch.full((1, 1, 4, 4), 7.0, requires_grad=True)
    normalization(flat).square().sum().backward()
    assert flat.grad.isfinite().all()
