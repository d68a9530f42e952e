"""What is known of functions, relations, words and procedures, as data."""
