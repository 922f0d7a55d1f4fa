"""External images: used to evaluate models, never to train or choose them."""
