"""One door for all targets: an MCP server that asks each of them, through the gateway, what its callers ask of it."""
