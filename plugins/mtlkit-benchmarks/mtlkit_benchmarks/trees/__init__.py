"""Layouts, and samples that are read on access, which all readers of official trees use."""
