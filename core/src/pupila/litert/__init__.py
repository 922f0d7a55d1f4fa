"""What plugins share that read LiteRT flatbuffers or run them."""
