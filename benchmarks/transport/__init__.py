"""Optimal transport beside other packages."""
