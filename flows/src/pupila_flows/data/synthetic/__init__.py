"""Made-up optic discs and a teacher trained on them: the data of `make demo`.

They let the whole pipeline run on a machine that holds no image and no model. Nothing here is
medical: the pictures obey a few rules of anatomy, and the label is made by one of them.
"""

from pupila_flows.data.synthetic.folder import is_synthetic, write_images
from pupila_flows.data.synthetic.teacher import write_teacher

__all__ = ["is_synthetic", "write_images", "write_teacher"]
