"""What can be changed about a tagger's training, one lever a file; docs/training.md describes them."""
