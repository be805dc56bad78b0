"""The paper's ablations (Tables IV to VII) and sweeps (Figures 6 and 7), row by row."""
