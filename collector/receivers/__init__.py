"""One module for each door; a door decodes its protocol and nothing else."""
