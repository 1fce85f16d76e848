"""One module for each protocol's hot doors: admit, read, decode, submit, answer."""
