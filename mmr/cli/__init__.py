"""The command line: the table of commands, shared options, exit status, progress; one thin file a command."""
