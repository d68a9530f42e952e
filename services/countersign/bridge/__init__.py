"""The bridge: targets that speak MCP on standard input and output, run here and served over HTTP, to Envoy alone."""
