"""Every change of consent, told to who subscribed: in order for each person, at least once."""
