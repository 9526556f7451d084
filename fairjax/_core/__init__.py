"""Internals that several parts of the package share: see the first line of each module."""
