"""How many users an installation holds before a target breaks: `tidewire loadtest capacity`.

search   which number to try next         result   what was found, as JSON and as a page
climb    a run of a suite for each step
"""
