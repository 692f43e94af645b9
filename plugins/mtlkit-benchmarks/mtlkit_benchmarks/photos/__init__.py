"""Readers of data sets with labels for each image."""
