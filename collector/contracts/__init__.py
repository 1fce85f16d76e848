"""Versioned event schemas: what a sender promised, and whether an event keeps it."""
