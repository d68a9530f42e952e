"""The tools that targets offer: pinned at first sight, watched for changes, accepted by operators."""
