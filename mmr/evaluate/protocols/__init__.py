"""One file a benchmark: its annotation files in, questions, judgements and conventions out (`Task`)."""
