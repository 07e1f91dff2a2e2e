"""Records: read and write. The only place that knows formats."""
