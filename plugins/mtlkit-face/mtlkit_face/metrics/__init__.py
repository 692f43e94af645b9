"""Metrics for face verification and identification."""
