"""Which sentences of a hit answer: cut out of its text, scored as pairs, marked and pruned.

What comes in are texts of the best hits, a query as the reranker reads it, and what a request asks
for; what goes out is scored spans, in characters of title, space and text together. The sentences
are pairs of the second pass like any others, in the same queue; where there is no room or no time
for them, there are no spans, and a status says so. Knows no servicers and no store.
"""
