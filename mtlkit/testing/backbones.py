"""What a backbone promises beside what every module does."""

import torch

from mtlkit.backbones.base import BackboneModule, SplittableBackbone
from mtlkit.testing.bench import bench_of
from mtlkit.testing.check import BrokenPromiseError, Subject, checks, require


def gives_features_of_the_declared_width(subject: Subject) -> None:
    """It is a BackboneModule and gives features (N, D) in float32, D as `features` says."""
    bench = bench_of(subject)
    module = bench.seeded().eval()
    if not isinstance(module, BackboneModule):
        raise BrokenPromiseError(
            f"build gives a {type(module).__name__}; expected a BackboneModule"
        )
    for count in (1, 3):
        found = bench.say(module, bench.batch(count))
        wanted: tuple[int, ...] = (count, int(module.features))
        require(tuple(found.shape) == wanted, f"features are {tuple(found.shape)}, not {wanted}")
        require(found.dtype == torch.float32, f"features are {found.dtype}, not float32")


def is_its_stem_and_its_tail(subject: Subject) -> None:
    """If it can be taken apart, the parts make the whole and new tails are new."""
    bench = bench_of(subject)
    module, (inputs,) = bench.seeded().eval(), bench.batch(4)
    if not isinstance(module, SplittableBackbone):
        return
    with torch.no_grad():
        whole, parts = module(inputs), module.tail(module.stem(inputs))
    require(torch.equal(whole, parts), "tail(stem(x)) is not what forward computes")
    tail = module.new_tail()
    own = {id(parameter) for parameter in module.parameters()}
    require(
        all(id(parameter) not in own for parameter in tail.parameters()),
        "new_tail gives weights that the backbone has itself",
    )
    width = tuple(tail.eval()(module.stem(inputs)).shape)
    require(width == tuple(whole.shape), f"a new tail gives {width}, not {tuple(whole.shape)}")


def takes_channels_last(subject: Subject) -> None:
    """The memory format of images, which training sets to channels last, changes no value."""
    bench = bench_of(subject)
    module, (inputs,) = bench.seeded().eval(), bench.batch(4)
    if inputs.dim() != 4:
        return
    with torch.no_grad():
        plain = module(inputs)
        last = module.to(memory_format=torch.channels_last)(
            inputs.contiguous(memory_format=torch.channels_last)
        )
    require(torch.allclose(plain, last, atol=1e-4, rtol=1e-3), "in channels last it differs")


def is_the_same_without_its_starting_weights(subject: Subject) -> None:
    """`blank` has the tensors of the original, so that a saved model fits it."""
    shape = subject.example.sample_shape
    own = subject.value.build(shape).state_dict()
    blank = subject.value.blank().build(shape).state_dict()
    same = {name: value.shape for name, value in own.items()} == {
        name: value.shape for name, value in blank.items()
    }
    require(same, "`blank` builds tensors of other names or shapes")


CHECKS = checks(
    gives_features_of_the_declared_width,
    is_its_stem_and_its_tail,
    takes_channels_last,
    is_the_same_without_its_starting_weights,
)
