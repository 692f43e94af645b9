"""Readers of data sets of text."""
