"""CMU Multi-PIE: its tree of files, and the settings under which methods are compared on it."""
