"""Files of a run's folder: layout, lock, provenance and the checks at a resume."""
