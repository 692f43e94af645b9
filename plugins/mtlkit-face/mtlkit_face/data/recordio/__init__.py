"""Faces in a RecordIO file: the container, its images, a data source, and packing."""
