"""Verification protocols over pairs of images."""
