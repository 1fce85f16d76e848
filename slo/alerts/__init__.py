"""Alerts as they stand: evaluated each minute, kept over restarts, delivered to whoever asked."""
