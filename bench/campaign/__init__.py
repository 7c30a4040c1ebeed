"""Thousands of whole drills in one process: the real tasks against the simulated DRS, with seeded faults.

Each drill runs the plugin's own operators, sensors, triggers and clean-up in a small Airflow, against the
engine of the simulated DRS, in a time of its own. A seed decides what goes wrong. A judge then compares what
the run says of itself with what happened, and counts every broken promise.
"""
