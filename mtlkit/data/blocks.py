"""Orders of samples that read consecutive ones at about the same time."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class SampleBlocks:
    """SampleBlocks of consecutive samples: the first sample of each (B,), of `count` samples.

    In a block order, blocks are shuffled, and then the samples in each `window` of blocks. An
    update then reads samples of one window, or of two at the border between them.

    >>> blocks = SampleBlocks(torch.tensor([0, 2, 4]), count=5, window=1)
    >>> blocks.permutation(torch.Generator().manual_seed(0)).tolist()
    [4, 0, 1, 2, 3]
    """

    starts: Tensor
    count: int
    window: int

    def permutation(self, generator: torch.Generator) -> Tensor:
        """Return all samples (N,) in a block order."""
        order = torch.randperm(len(self.starts), generator=generator)
        ends = torch.cat([self.starts[1:], torch.tensor([self.count])])
        sizes = (ends - self.starts)[order]
        firsts = (self.starts[order] - (sizes.cumsum(0) - sizes)).repeat_interleave(sizes)
        samples = firsts + torch.arange(self.count)
        windows = (torch.arange(len(order)) // self.window).repeat_interleave(sizes)
        within = torch.rand(self.count, generator=generator, dtype=torch.float64)
        return samples[(windows + within).argsort(stable=True)]

    def at(self, samples: Tensor) -> "SampleBlocks":
        """Return the blocks of the samples (M,) of these, ascending."""
        return SampleBlocks.of(torch.bucketize(samples, self.starts, right=True), self.window)

    @classmethod
    def joined(cls, parts: Sequence[tuple[int, "SampleBlocks | None"]]) -> "SampleBlocks | None":
        """Return the blocks of several numbers of samples together; None if none has blocks.

        The samples of a part without blocks are shuffled among all.
        """
        windows = [blocks.window for _, blocks in parts if blocks is not None]
        if not windows:
            return None
        counts = [count for count, _ in parts]
        starts = [
            (torch.arange(count) if blocks is None else blocks.starts) + sum(counts[:number])
            for number, (count, blocks) in enumerate(parts)
        ]
        return cls(torch.cat(starts), sum(counts), min(windows))

    @classmethod
    def of(cls, numbers: Tensor, window: int) -> "SampleBlocks":
        """Return the blocks of samples with the same of `numbers` (N,), consecutive ones alike."""
        changes = (numbers[1:] != numbers[:-1]).nonzero().flatten() + 1
        starts = torch.cat([torch.zeros(min(1, len(numbers)), dtype=torch.int64), changes])
        return cls(starts, len(numbers), window)


def permutation(count: int, blocks: SampleBlocks | None, generator: torch.Generator) -> Tensor:
    """Return `count` samples in a random order, a block order if there are `blocks`."""
    if blocks is None:
        return torch.randperm(count, generator=generator)
    return blocks.permutation(generator)
