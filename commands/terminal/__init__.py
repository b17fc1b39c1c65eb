"""What a person sees of a command, and what a terminal can bear; nothing else prints.

`tables` lays out rows, `sentences` prints text, `hits` what a search found, `progress` shows bars,
`json_output` writes for scripts, `failures` ends a command, `help` is `--help`. Text of documents,
files, servers and people comes in as it is and is taken literally: markup is never read in it, and
its control characters are shown, never sent. Lines fit the terminal and are whole in a pipe.
"""
