"""What customers do between a first step and a last: funnels."""
