"""`pupila init`: a first recipe for a folder of images and a model file."""
