"""What several stages compute on arrays."""
