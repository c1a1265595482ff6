"""A table of pairs → what it holds, where it leaks, how far to trust its labels; what can be read is never refused."""
