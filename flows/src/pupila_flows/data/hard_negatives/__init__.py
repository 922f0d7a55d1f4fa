"""Hard negatives: images made from the training images, so that a filter learns no shortcut.

A filter is a model that accepts images of one class, such as fundus photographs. A small filter
learns "reddish means fundus" or "a disc on black means fundus" if no training image of another
class is reddish or shows a disc on black. Hard negatives are images of another class that are made,
for example, reddish or with a disc on black.
"""
