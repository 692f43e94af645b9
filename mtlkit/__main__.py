"""``python -m mtlkit``: the command line, also for launchers such as torchrun."""

from mtlkit.cli import main

if __name__ == "__main__":
    main()
