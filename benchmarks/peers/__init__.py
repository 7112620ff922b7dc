"""Those that ours is held against: libraries that install, and stand-ins for those that no longer do."""
