"""Checks the servers that a wave has launched: what is read of them, and how each kind of check is made.

May import: ``run``, ``plan``, ``aws``. Runs in the triggerer, and in a worker where waiting is not deferred.
"""
