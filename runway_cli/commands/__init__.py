"""The commands, one module each.

`configure(parser)` adds its options and sets `run`, which does what the command does and returns the exit status.
"""
