"""A command line for the Runway API, on Python's standard library alone."""

__version__ = "2.0.0"
