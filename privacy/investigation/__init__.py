"""What became of consent that is found invalid later, and whether past decisions still hold."""
