"""What a run proved: one record a run, its arithmetic, its renderings, and the chain in which it is kept."""
