"""The checks of launched servers: what they look at, and how a wave's are made. Pure of Airflow."""
