"""What reproduces the paper: its figures, its ablations and the page of results.

Run from a clone: `python -m experiments.figures`, `.ablations` and `.results`.
"""
