"""What other systems believe of consent, read back and held against the ledger."""
