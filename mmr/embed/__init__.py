"""The pipeline: pictures and words in, decoded ahead, embedded in batches, in order out."""
