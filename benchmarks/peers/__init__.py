"""The peers: libraries that can be installed, and stand-ins for those that cannot."""
