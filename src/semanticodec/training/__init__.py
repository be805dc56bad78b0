"""Training: stages (what is learned), the trainer that drives them, data and run folders."""
