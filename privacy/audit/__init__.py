"""The append-only log whose every entry can be proved, and whose every change shows."""
