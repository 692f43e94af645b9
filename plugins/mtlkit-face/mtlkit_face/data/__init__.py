"""Face data: sources, alignment, RecordIO and pose labels."""
