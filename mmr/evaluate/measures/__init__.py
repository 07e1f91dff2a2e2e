"""One file a family of measures; `mmr.evaluate.table` has their rows."""
