"""Programs in the pipe: children that speak the one protocol, and the cache of what they answered."""
