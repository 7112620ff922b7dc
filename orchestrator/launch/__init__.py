"""A launch of a sweep: its forecast, its driver, what people see meanwhile, and what it leaves."""
