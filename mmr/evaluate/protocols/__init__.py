"""One file a benchmark; `mmr.evaluate.table` has their rows."""
