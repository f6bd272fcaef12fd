"""The verbs, a file each: options to calls, events to printed lines."""
