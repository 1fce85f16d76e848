"""Consent: purposes and notices, the ledger of what a person allowed, and the decision on a use."""
