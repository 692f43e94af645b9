"""Published results, and their place next to the results of a run."""
