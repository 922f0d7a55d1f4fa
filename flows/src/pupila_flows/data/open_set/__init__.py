"""Images that a filter is evaluated on beside the test images: near misses and altered images."""
