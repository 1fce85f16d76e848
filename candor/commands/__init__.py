"""The subcommands of ``candor``: thin, and quick to import, because each imports what it needs."""
