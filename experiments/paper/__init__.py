"""What the paper prints, apart from anything that was measured here."""
