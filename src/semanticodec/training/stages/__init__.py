"""One file per trained module: its losses, its optimizer groups, its export."""
