"""Environment variables of the command line, which libraries read when they are loaded."""

from collections.abc import MutableMapping

SPIN_COUNT = "30000"
"""Number of times that an OpenMP thread looks for work before it sleeps; nearly free when idle,
and frees a core that another process wants (`benchmarks/bench_busy_machine.py`)."""

LARGE_PAGES = "glibc.malloc.hugetlb=1"
"""Requests pages of 2 MiB for large tensors, which miss the translation cache less often."""


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Limit how long waiting OpenMP threads hold a core, unless the user chose it.

    libgomp reads the variable when torch is imported.

    >>> environment = {}
    >>> limit_spinning(environment)
    >>> environment
    {'GOMP_SPINCOUNT': '30000'}
    """
    if "OMP_WAIT_POLICY" not in environment:  # which the variable would overrule
        environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def use_large_pages(environment: MutableMapping[str, str]) -> None:
    """Let the workers of studies use large pages, unless the user chose tunables of glibc.

    glibc reads the variable when a process starts, so it has no effect on this process. Other
    systems ignore it.

    >>> environment = {}
    >>> use_large_pages(environment)
    >>> environment
    {'GLIBC_TUNABLES': 'glibc.malloc.hugetlb=1'}
    """
    environment.setdefault("GLIBC_TUNABLES", LARGE_PAGES)
