"""Files become events: one module for each format; an importer reads and nothing else."""
