"""The promise: a message is sent at most once, and every accepted call ends in sent, not sent, or unknown."""
