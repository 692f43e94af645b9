"""Identification of unseen subjects against a gallery."""
