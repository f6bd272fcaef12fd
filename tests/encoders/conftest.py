"""Lets the tests of this folder and its subfolders import `encoder_cases` and `parity`."""
