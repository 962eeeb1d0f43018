"""What an operator or a developer runs besides the server itself."""
