"""Countersign: a governed gateway in front of MCP servers, HTTP APIs and databases."""
