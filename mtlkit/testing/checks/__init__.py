"""Checks of the kit, one file for each family."""
