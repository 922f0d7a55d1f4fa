"""Synthetic optic discs and a teacher trained on them: the data of `make demo`.

With this data the whole pipeline runs on a machine that has no images or models. Nothing here is
medical: the pictures follow a few rules of anatomy, one of which depends on the label.
"""

from pupila_flows.data.synthetic.folder import is_synthetic, write_images
from pupila_flows.data.synthetic.teacher import write_teacher

__all__ = ["is_synthetic", "write_images", "write_teacher"]
