"""Training code for every technique: schedule, batches of augmented views, losses, checkpoints."""
