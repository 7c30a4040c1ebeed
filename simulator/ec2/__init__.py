"""EC2's status checks of instances that DRS has launched. moto's own status checks always pass."""
