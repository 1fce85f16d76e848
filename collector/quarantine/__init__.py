"""Refused events: sealed, kept for a while, looked at, mended and replayed."""
