"""Sends each message at most once; every accepted call ends in sent, not sent, or unknown."""
