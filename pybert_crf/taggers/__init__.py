"""What gives tags and entities, how it opens and is handed on: a tagger, an ensemble, an exported archive."""
