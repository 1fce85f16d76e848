"""Pages: for the people whose data it is, and for those who answer for it."""
