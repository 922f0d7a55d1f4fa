"""What a workspace holds that nothing needs any more, and how it is removed."""
