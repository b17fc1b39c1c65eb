"""How many judged queries shadow comparisons need to find a reranker that is planted as bad.

A test collection goes in, its qrels stand for people who judge every answer; a real server, with
real shadows, says what it has found after each query. Also how often a shadow that is neither
better nor worse is taken for either. Nothing here is imported by others.
"""
