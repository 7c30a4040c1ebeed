"""Systems Manager's Run Command on instances that DRS launched. moto's own succeeds at once, on any."""
