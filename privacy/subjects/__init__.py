"""The subject index: which identifiers are of one person, who said so, and who took it back."""
