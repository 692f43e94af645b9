"""The kinds of faults of ``benchmarks/faults.py``, one module for each."""
