"""The energy-based weight analysis of Yin & Liu (TIP 2018): what each task reads of x."""

from mtlkit_face.energy.evaluator import Energy

__all__ = ["Energy"]
