"""What people and monitoring are told about a run: messages in words, metrics as values.

May import: ``evidence``, ``run``, ``plan``, and the values of ``aws``. ``tasks`` sends them.
"""
