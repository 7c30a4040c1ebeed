"""The state machine of a simulated DRS: pure, with an injected clock and an EC2 port."""
