"""The operators of a drill's DAG, one file for each reason to exist."""
