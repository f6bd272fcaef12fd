"""What follows from the posterior distribution of a row's path: entropy, spans, training objectives."""
