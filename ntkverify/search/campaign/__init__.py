"""Many cells at once, on record: cells, workers, the store."""
