"""Order of the samples, and batches."""
