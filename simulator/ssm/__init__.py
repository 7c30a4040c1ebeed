"""Systems Manager's Run Command on what DRS has launched; moto's own succeeds at once, and everywhere."""
