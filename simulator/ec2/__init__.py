"""EC2's status checks of what DRS has launched; moto's own are always passed."""
