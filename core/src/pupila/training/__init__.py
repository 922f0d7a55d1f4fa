"""Training that every technique may use: schedule, batches of views, losses, checkpoints."""
