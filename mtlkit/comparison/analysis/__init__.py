"""The statistics of a comparison: estimates, paired tests, verdicts."""
