"""What people and monitoring learn about a run: messages in words, metrics as values.

May import: ``evidence``, ``run``, ``plan``, and the values of ``aws``. ``tasks`` sends them.
"""
