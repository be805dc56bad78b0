"""Pictures of sounds and their codes; needs matplotlib (extra `plot`)."""
