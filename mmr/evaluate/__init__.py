"""Judge rankings: judgements and runs in, measures, intervals and tests out."""
