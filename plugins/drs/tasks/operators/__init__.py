"""The operators of a drill's DAG, one file for each kind of task."""
