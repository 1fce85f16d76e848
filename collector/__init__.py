"""Telemetry in: doors, one intake pipeline, a durable spool and the loader behind it."""
