"""Every module and the whole against what the machine reaches, and the official code's times."""
