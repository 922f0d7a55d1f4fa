"""Images by which models are judged, and from which nothing is learned or chosen."""
