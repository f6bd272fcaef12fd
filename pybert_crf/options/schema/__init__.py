"""What an option is: a field of a dataclass, its checks and words, the option file, names of other tools."""
