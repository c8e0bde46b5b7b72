"""Shapes, ids and names that clients see."""
