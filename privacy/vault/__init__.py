"""The vault: personal values under keys of their own, so that destroying a key erases them all."""
