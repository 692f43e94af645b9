"""Loggers: where the events of a run are written."""
