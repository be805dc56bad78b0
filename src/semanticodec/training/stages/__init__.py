"""One file per trained box: its losses, its optimizer groups, its export."""
