"""Hard negatives: images made from the training images, so that a filter learns no shortcut.

A small filter learns "reddish means fundus" or "a disc on black means fundus" if no other images
in the training data are reddish or show a disc on black. Hard negatives look like that, but do not
belong to the class.
"""
