"""Personal data in payloads: found as Presidio finds it, and masked before anything is stored."""
