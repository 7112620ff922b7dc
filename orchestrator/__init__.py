"""Turns a sweep file into the paper's table: plan, schedule, survive, track, report."""
