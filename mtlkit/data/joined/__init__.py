"""Rows and columns of several sources as one."""
