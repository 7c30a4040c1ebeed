"""For a process that forks its tasks, such as a Celery worker: to import this spares each task its reading
of AWS's service models.
"""

from drs.tasks.hook import read_model

if __package__:  # and not as a file of a plugins folder without its .airflowignore files
    for service in ("drs", "ec2", "cloudwatch"):
        read_model(service)
