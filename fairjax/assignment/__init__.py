"""Exact fair assignment."""
