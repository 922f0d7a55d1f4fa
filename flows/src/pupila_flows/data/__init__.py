"""Images: reading, checking, excluding and generating them."""
