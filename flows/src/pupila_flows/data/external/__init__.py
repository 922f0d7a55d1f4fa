"""External images: models are evaluated on them, and nothing is trained or chosen with them."""
