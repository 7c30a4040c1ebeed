"""The state machine of a simulated DRS. It does no I/O: clock and EC2 are given to it from outside."""
