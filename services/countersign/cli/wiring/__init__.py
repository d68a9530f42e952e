"""Each service put together from its settings. Imported only by the process that serves, and only its own module."""
