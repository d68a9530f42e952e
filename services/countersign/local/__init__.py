"""``countersign up``: all parts on one machine, started in order, watched, restarted, and stopped together."""
