"""Quantises TFLite flatbuffers after training."""
