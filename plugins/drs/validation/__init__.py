"""Checks the servers that a wave has launched: what is read about them, and how each check is made.

May import: ``run``, ``plan``, ``aws``. Runs in the triggerer, and in a worker where waiting is not deferred.
"""
