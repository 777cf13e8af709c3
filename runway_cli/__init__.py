"""A command line for the Runway API, on Python's standard library alone."""

__version__ = "3.0.0"
