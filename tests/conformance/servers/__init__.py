"""Servers that offer what the suite's scenarios ask for, on the official SDKs of two languages."""
