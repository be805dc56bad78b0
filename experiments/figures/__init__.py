"""The paper's Figures 1, 5, 6 and 7 and the use of the codebooks, drawn from result files."""
