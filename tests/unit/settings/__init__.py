"""The settings tree, its sources and its documentation."""
