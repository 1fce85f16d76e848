"""Candor's tests."""
