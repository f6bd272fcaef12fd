"""What `predict` does with one source of texts: it reads, tags and answers in the order of reading."""
