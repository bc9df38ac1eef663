"""The command line: gathers options, calls one library function per verb, prints."""
