"""A simulated DRS and a real Airflow on one machine, for the demo, the end-to-end tests and the bench."""
