"""Metrics of verification and identification."""
