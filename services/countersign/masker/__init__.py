"""ext_proc: nothing raw leaves. Reads in the order of a call.

server, envoy, request (on its way to the target); form, exchange, answers, content, records (on its way back).
"""
