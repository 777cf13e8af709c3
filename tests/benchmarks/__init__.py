"""Speed and memory of whole runs, beside the least that a Python of the same kind needs: `python3 -m tests.benchmarks`.

A row runs two commands in turn, the floor and the program, and compares medians. Its noise is measured too, the floor
against itself, so that a bound counts as missed only where the machine's own unrest cannot explain it.
"""
