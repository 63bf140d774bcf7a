"""The Lightning tasks: what is learned, and how."""
