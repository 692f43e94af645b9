"""Face data: data sources, alignment, RecordIO and pose labels."""
