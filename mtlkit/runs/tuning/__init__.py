"""Search for constant loss weights."""
