"""Drawn scenes with exact depth, normals and classes."""
