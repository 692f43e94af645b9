"""What all readers of official trees share: layouts, and samples that are read on access."""
