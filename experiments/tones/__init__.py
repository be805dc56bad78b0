"""Training audio that recordings hardly have: the signals of measuring desks."""
