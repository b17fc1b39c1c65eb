"""Documents on their way in: tokenised, embedded, written in the order in which they came.

Plain documents come in from a surface, `index` takes what is ready to be stored. Messages of any
contract stay in the surfaces, which may not be imported here.
"""
