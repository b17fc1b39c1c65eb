"""The dialects: one module for each, or for each task of one that has several.

A module offers `endpoints(parts)`. Its requests and answers are structures with the dialect's own
names of fields, read with the tolerance that real clients of it need.
"""
