"""One file a format: each reads a file into sentences, whose tags are still as they are written there."""
