"""Launches one wave of servers along its timeline, and never launches a server twice.

May import: ``run``, ``plan``, ``aws``.
"""
