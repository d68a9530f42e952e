"""The approvals service: humans are asked about one exact call, decide, and what they agreed to runs once."""
