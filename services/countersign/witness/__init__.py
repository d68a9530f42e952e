"""A witness (c2sp.org/tlog-witness): sees to it that logs only grow, and cosigns their checkpoints. A service alone."""
