"""Terminates what a run launched and proves that it is gone; decides what is kept; tells what it costs.

May import: ``run``, ``plan``, ``aws``.
"""
