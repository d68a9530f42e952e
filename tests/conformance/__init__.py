"""The public conformance suite, run against reference servers directly and through the gateway: docs/conformance.md."""
