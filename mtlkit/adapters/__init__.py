"""Adapters, which change the kind of features between the router and the head of a task."""
