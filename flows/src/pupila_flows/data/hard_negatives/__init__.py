"""Hard negatives: images made from the training images, so that a filter learns no shortcut.

A small filter learns "reddish means fundus" or "a disc on black means fundus" if all other images
of the training data are neither. Hard negatives are, and are not of the class.
"""
