"""Hard negatives: images made from the training images, so that no short cut leads to the class.

A small gate learns "reddish means fundus" or "a disc on black means fundus" where all else in the
training data is neither. Images that are so, and are not of the class, take that away.
"""
