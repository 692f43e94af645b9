"""Devices, ranks, threads and compilation."""
