"""Promises about people: what may be done with their data, and what was done."""
