"""How fast a model is on this machine: seconds, GFLOP/s and memory of every box."""
