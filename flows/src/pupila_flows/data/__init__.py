"""The images: read, checked, left out, made."""
