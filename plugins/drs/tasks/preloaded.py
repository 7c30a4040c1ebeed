"""For a process that forks its tasks, such as a Celery worker: to import this spares each task its reading
of AWS's service models.
"""

from drs.tasks.hook import read_models_ahead

read_models_ahead()
