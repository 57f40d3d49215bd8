"""The commands. One file a command; nothing below this package prints or exits."""
