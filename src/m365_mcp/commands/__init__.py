"""The commands for operators and developers, besides `serve`."""
