"""What only shows when the whole recipe is seen, one subject a module."""
