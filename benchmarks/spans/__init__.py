"""How well spans find answers, what pruning saves, and what spans cost a search.

What comes in are test collections whose `answers.jsonl` tells the words that answer each question;
what goes out is a table and a report in JSON. Quality is measured in this process, by the code that
a server runs; time is measured by searches of a server.
"""
