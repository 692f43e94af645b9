"""Verification and search protocols over templates of many images."""
