"""Images and label maps: decoding and damaged files."""
