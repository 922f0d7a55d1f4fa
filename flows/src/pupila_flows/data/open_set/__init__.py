"""What a gate is tried on beside the test images: near misses, and photographs that went wrong."""
