"""ext_proc: nothing raw leaves. Reads in the order of an answer: server, envoy, form, exchange, content, records."""
