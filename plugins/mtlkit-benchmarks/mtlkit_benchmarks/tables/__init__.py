"""Readers of data sets that are tables."""
