"""Examples that are more than a snippet; each runs from a clone as `python -m examples.NAME`."""
