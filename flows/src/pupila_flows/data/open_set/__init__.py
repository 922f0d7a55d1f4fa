"""Images on which a filter is evaluated besides the test images: near misses and altered images."""
