"""The published protocols of face recognition: their files, their metrics, and commands for them.

The components stand in `options`, which imports nothing heavy; a reader for each official layout
in `lfw`, `cfp`, `ijb_a` and `pickled_pairs`; a metric in each of `accuracy`, `roc`, `tar`, `cmc`
and `open_set`; what may be said of their uncertainty in `intervals`.
"""
