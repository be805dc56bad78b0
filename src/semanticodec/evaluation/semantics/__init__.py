"""How much meaning features carry: the paper's Table III, and HEAR's interface to the codec."""
