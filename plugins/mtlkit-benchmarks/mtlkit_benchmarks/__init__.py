"""Data sets of multi-task learning; `mtlkit_benchmarks.plugin` registers the components."""
