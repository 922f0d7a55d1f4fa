"""The release gate: is each exported artifact good enough to be published?"""
