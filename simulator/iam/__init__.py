"""What moto's IAM lacks: the simulation of a principal's policies."""
