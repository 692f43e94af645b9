"""Shards: files that hold many samples each, read by position."""
