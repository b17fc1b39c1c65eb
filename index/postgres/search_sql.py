"""One search as one statement: the nearest vectors, the words, and what will be read of both.

::

    state     the collection's row of the catalogue, so that the answer tells the state it is of
    few       the documents that may be found, where a filter leaves few
    least     what a document has to score, by the rarest words
    near      the nearest vectors: compared with all, or by a walk through the graph
    scored    the documents whose words fit best
    found     both lists
    beyond    the similarities of what words alone have found

Everything is read in one snapshot: no part of an answer is of another moment than the rest.

Which way a search goes is never left to estimates of what a filter lets pass, which PostgreSQL does
not have: `few` is looked up first, and one of several branches runs. A walk looks each vector's
document up in a subquery, so that the graph is walked whatever is guessed of the filter; where it
does not find enough, every vector that may be found is compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twopass.engines.base.sequences import Float32s
from twopass.index.postgres.connections import Extensions, encode_vector
from twopass.index.postgres.filter_sql import Bindings
from twopass.index.postgres.kinds import VectorKind
from twopass.index.postgres.tables import Tables
from twopass.index.postgres.word_clauses import Clause, CompiledMembers
from twopass.index.words.scoring import K1, B

FEW = 2_000
"""Among so many documents every one is compared, and every word is searched: some 5 ms."""
CHEAP_COMPONENTS = 3_000_000
"""A collection of no more components is compared whole, whatever its index kind: some 6 ms."""
MAX_HOLDERS = 20_000
"""Words are searched, the rarest first, until together so many documents hold them: scoring one
takes some 1.5 microseconds. The others only add to the scores of what was found, unless too few
were found."""
MAX_SCORED = 4 * MAX_HOLDERS
"""Most documents that are scored where the rarest word alone has more holders."""
MAX_TERMS = 512
"""Most terms of one query that count at all, the rarest."""
FIRST_SHARE = 0.05
"""The rarest words that have together at most this part of the holders are searched first. What the
last of the `k` best of theirs scores, a document of frequent words alone has to reach too. Frequent
words that can't together are not searched (MaxScore; Turtle and Flood 1995): the same is found."""
# Rounding must not make a document that ties with the last of the best look like one below it.
_ROUNDING = 1.000001
# Up to so many terms each has a column of its own, which is faster than going through a list.
_MAX_COLUMNS = 24
# Of the fields that come along with what is found: what is beyond is read when it is asked for.
_MAX_CARRIED_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """What is asked of the vectors.

    Attributes:
        vector: The query, scaled for the metric, float32 `[dimension]`.
        num_vectors: How many vectors to find, at least as many as documents.
        num_documents: How many documents to find.
        ef_search: How many candidates a walk keeps; 0 to compare with every vector.
    """

    vector: Float32s
    num_vectors: int
    num_documents: int
    ef_search: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Words:
    """What is asked of the words.

    Attributes:
        weights: The terms that are looked for, and how much each counts.
        k: How many documents to find.
        required: Clauses that add to the score, and that documents hold by `members`.
        optional: Clauses that add to the score.
    """

    weights: Mapping[str, float]
    k: int
    required: tuple[Clause, ...] = ()
    optional: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class Carried:
    """SQL of what is read of the documents found.

    Attributes:
        columns: Of all of them, by name.
        sized_columns: Of those that fit together, the best first, by name.
        size: Bytes of the latter.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    sized_columns: Mapping[str, str] = field(default_factory=dict)
    size: str = "0"


class SearchStatement:
    """Writes the statement of one search.

    Attributes:
        text: The statement.
        values: What it binds.
    """

    def __init__(
        self,
        schema: str,
        collection: int,
        tables: Tables,
        kind: VectorKind,
        extensions: Extensions,
        *,
        near: Near | None,
        words: Words | None,
        near_members: CompiledMembers,
        word_members: CompiledMembers,
        carried: Carried,
    ) -> None:
        """Writes it.

        Args:
            schema: The store's schema in the database.
            collection: The collection's number.
            tables: The collection's.
            kind: The collection's.
            extensions: Where the database has them.
            near: What is asked of the vectors; None for nothing.
            words: What is asked of the words; None for nothing.
            near_members: What may be found by vectors.
            word_members: What may be found by words.
            carried: What is read of the documents found.
        """
        self._schema = schema
        self._tables = tables
        self._kind = kind
        self._vectors = extensions.vectors
        self._element_place = extensions.element_place
        self._bindings = Bindings()
        self._members_sql: dict[CompiledMembers, str] = {}
        self._few: dict[CompiledMembers, str] = {}
        self._with: list[str] = []
        self._state(collection)
        if near is not None:
            self._near(near, near_members)
        if words is not None:
            self._scored(words, word_members)
        self._found(near, words)
        select = self._select(near, words, carried)
        self.text = f"WITH {', '.join(self._with)} {select}"
        self.values: Sequence[object] = self._bindings.values

    def _bind(self, value: object, type_: str) -> str:
        return self._bindings.add(value, type_)

    def _add(self, name: str, select: str) -> None:
        self._with.append(f"{name} AS MATERIALIZED ({select})")

    def _state(self, collection: int) -> None:
        self._add(
            "state",
            "SELECT incarnation, position, num_documents, "
            "greatest(num_documents, 1)::float8 AS num, "
            "greatest(num_terms, 1)::float8 / greatest(num_documents, 1) AS average "
            f"FROM {self._schema}.collections "
            f"WHERE id = {self._bind(collection, 'integer')} AND NOT is_deleted",
        )

    def _condition(self, members: CompiledMembers) -> str:
        """SQL of who may be found; written, and its values bound, once."""
        if members not in self._members_sql:
            self._members_sql[members] = members.sql(self._bindings)
        return self._members_sql[members]

    def _few_of(self, members: CompiledMembers) -> tuple[str, str]:
        """The names of the documents that may be found, and of whether these are all."""
        if members not in self._few:
            number = len(self._few)
            self._few[members] = f"few{number}"
            self._add(
                f"few{number}",
                f"SELECT key FROM {self._tables.documents} AS documents "
                f"WHERE {self._condition(members)} LIMIT {FEW + 1}",
            )
            self._add(f"is_few{number}", f"SELECT count(*) <= {FEW} AS yes FROM few{number}")
        few = self._few[members]
        return few, f"(SELECT yes FROM is_{few})"

    def _near(self, near: Near, members: CompiledMembers) -> None:
        vectors, kind = self._vectors, self._kind
        query = self._bind(encode_vector(near.vector), f"{vectors}.vector")
        stored = kind.stored(query, vectors) if kind.is_half else query
        similarity = f"-(embedding OPERATOR({vectors}.<#>) {stored})"
        limit = self._bind(near.num_vectors, "bigint")
        columns = "document, first_token, end_token"
        # An expression that no index is over, so that every vector is compared.
        best = f"ORDER BY similarity DESC, document LIMIT {limit}"
        table = f"{self._tables.vectors} AS vectors"
        documents = f"{self._tables.documents} AS documents"
        branches = []
        if near.ef_search:
            self._add(
                "settings",
                f"SELECT set_config('hnsw.ef_search', {self._bind(str(near.ef_search), 'text')}, "
                "true), set_config('hnsw.iterative_scan', 'relaxed_order', true)",
            )
            walk = "(SELECT count(*) FROM settings) = 1"
            order = (
                f"ORDER BY {kind.indexed('embedding', vectors)} OPERATOR({vectors}.<#>) "
                f"{kind.indexed(query, vectors)} LIMIT {limit}"
            )
            walked = f"SELECT {columns}, {similarity} AS similarity FROM {table} WHERE {walk}"
        if members.is_everything:
            if near.ef_search:
                self._add("walked", f"{walked} {order}")
                branches.append(f"SELECT {columns}, similarity, FALSE AS exact FROM walked")
            else:
                branches.append(
                    f"(SELECT {columns}, {similarity} AS similarity, TRUE AS exact "
                    f"FROM {table} {best})"
                )
        else:
            condition = self._condition(members)
            few, is_few = self._few_of(members)
            branches.append(
                f"(SELECT {columns}, {similarity} AS similarity, TRUE AS exact "
                f"FROM {few} JOIN {table} ON document = {few}.key WHERE {is_few} {best})"
            )
            everywhere = (
                f"(SELECT {columns}, {similarity} AS similarity, TRUE AS exact FROM {documents} "
                f"JOIN {table} ON document = documents.key WHERE NOT {is_few} AND {condition}"
            )
            if near.ef_search:
                self._add(
                    "walked",
                    f"{walked} AND NOT {is_few} AND (SELECT {condition} FROM {documents} "
                    f"WHERE documents.key = vectors.document) {order}",
                )
                enough = f"(SELECT count(*) FROM walked) = {limit}"
                branches.append(
                    f"SELECT {columns}, similarity, FALSE AS exact FROM walked WHERE {enough}"
                )
                branches.append(f"{everywhere} AND NOT {enough} {best})")
            else:
                branches.append(f"{everywhere} {best})")
        self._add("compared", " UNION ALL ".join(branches))
        self._add(
            "near",
            f"SELECT * FROM (SELECT DISTINCT ON (document) * FROM compared "
            "ORDER BY document, similarity DESC, first_token) AS of_documents "
            f"ORDER BY similarity DESC, document LIMIT {self._bind(near.num_documents, 'bigint')}",
        )

    def _scored(self, words: Words, members: CompiledMembers) -> None:
        given_terms = self._bind(list(words.weights.keys()), "text[]")
        given_weights = self._bind(list(words.weights.values()), "float8[]")
        self._add(
            "query_words",
            "SELECT known.id, num_holders, "
            "given.weight * ln(1 + (num - num_holders + 0.5) / (num_holders + 0.5)) AS weight, "
            "sum(num_holders) OVER rarest AS upto, row_number() OVER rarest AS place, "
            "sum(num_holders) OVER () AS of_all "
            f"FROM unnest({given_terms}, {given_weights}) AS given(term, weight) "
            f"JOIN {self._tables.vocabulary} AS known USING (term) CROSS JOIN state "
            "WHERE num_holders > 0 WINDOW rarest AS (ORDER BY num_holders, known.id)",
        )
        limit = self._bind(words.k, "bigint")
        self._add(
            "query_terms",
            "SELECT coalesce(array_agg(id ORDER BY place), '{}') AS ids, "
            "coalesce(array_agg(weight ORDER BY place), '{}') AS weights, "
            f"coalesce(array_agg(id) FILTER (WHERE upto <= {FIRST_SHARE} * of_all "
            f"AND upto <= {MAX_HOLDERS}), '{{}}') AS first "
            f"FROM query_words WHERE place <= {MAX_TERMS}",
        )
        # What clauses add, and what filters leave, frequent words may make up for.
        may_leave_words = members.is_everything and not (words.required or words.optional)
        self._add("least", self._least(words, limit) if may_leave_words else "SELECT 0 AS score")
        self._add(
            "judged_words",
            f"SELECT *, (place = 1 OR (upto <= {MAX_HOLDERS} AND NOT "
            f"sum(weight) OVER lightest * {K1 + 1} * {_ROUNDING} < coalesce((TABLE least), 0))) "
            f"AS is_searched FROM query_words WHERE place <= {MAX_TERMS} "
            "WINDOW lightest AS (ORDER BY weight, id)",
        )
        self._add(
            "query",
            "SELECT (SELECT ids FROM query_terms), (SELECT weights FROM query_terms), "
            "coalesce(array_agg(id) FILTER (WHERE is_searched), '{}') AS searched, "
            "coalesce(array_agg(id) FILTER (WHERE NOT is_searched "
            f"AND upto - num_holders < {limit}), '{{}}') AS more, "
            "count(*) FILTER (WHERE NOT is_searched) AS num_left, "
            f"count(*) FILTER (WHERE num_holders > {MAX_SCORED} AND place = 1) AS num_cut, "
            f"coalesce(sum(weight) FILTER (WHERE NOT is_searched), 0) * {K1 + 1} AS most_left "
            "FROM judged_words",
        )
        self._add("scored", self._best_scored(words, members, limit))
        may_be_left = "TRUE"
        if not members.is_everything:
            may_be_left = f"NOT {self._few_of(members)[1]}"
        self._add(
            "left_out",
            f"SELECT CASE WHEN {may_be_left} THEN num_left ELSE 0 END AS num_left, num_cut, "
            "most_left FROM query",
        )

    def _least(self, words: Words, limit: str) -> str:
        """SQL of the score of the last of the best that hold the rarest words; NULL for too few."""
        columns = ", ".join(["weights", "counts", *self._columns(words)])
        return (
            f"SELECT min(score) FROM (SELECT {self._score(words)} AS score FROM ("
            f"SELECT {columns} FROM query_terms CROSS JOIN state "
            f"CROSS JOIN {self._tables.terms} AS terms "
            f"WHERE terms.terms OPERATOR(pg_catalog.&&) query_terms.first LIMIT {MAX_SCORED}"
            f") AS looked_up ORDER BY score DESC LIMIT {limit}) AS best HAVING count(*) = {limit}"
        )

    def _best_scored(self, words: Words, members: CompiledMembers, limit: str) -> str:
        """SQL of the documents whose words fit best, and their scores."""
        clauses = self._clauses(words)
        terms = f"{self._tables.terms} AS terms"
        documents = f"{self._tables.documents} AS documents"
        needs_documents = bool(clauses) or not members.is_everything
        joined = f"JOIN {documents} ON documents.key = terms.key" if needs_documents else ""
        columns = ", ".join(
            ["terms.key", "weights", "counts", *self._columns(words)]
            + [f"({sql}) AS holds{number}" for number, sql in enumerate(clauses)]
        )

        def looked_up(source: str, condition: str) -> str:
            # The limit is a fence too: each place is looked up once, and only where it is needed.
            return (
                f"SELECT key, {self._score(words)} AS score FROM ("
                f"SELECT {columns} FROM query CROSS JOIN state CROSS JOIN {source} {joined} "
                f"WHERE {condition} LIMIT {MAX_SCORED}) AS looked_up"
            )

        any_term = "terms.terms OPERATOR(pg_catalog.&&) query.ids"
        any_searched = "terms.terms OPERATOR(pg_catalog.&&) query.searched"
        # Where too few hold the rarest words, some of those that hold the next rarest.
        any_more = (
            "terms.terms OPERATOR(pg_catalog.&&) query.more "
            "AND NOT terms.terms OPERATOR(pg_catalog.&&) query.searched"
        )
        # What is required, all members hold; that is enough to be found, as an optional clause is.
        enough = ["TRUE"] if words.required else clauses
        if members.is_everything:
            branches = [looked_up(terms, one) for one in (any_searched, any_more, *enough)]
        else:
            condition = self._condition(members)
            few, is_few = self._few_of(members)
            of_few = " OR ".join([any_term, *enough])
            branches = [
                looked_up(
                    f"{few} JOIN {terms} ON terms.key = {few}.key", f"{is_few} AND ({of_few})"
                )
            ]
            branches += [
                looked_up(terms, f"NOT {is_few} AND {one} AND {condition}")
                for one in (any_searched, any_more, *enough)
            ]
        # Every term and clause adds something, so that what is found has a score above 0. A
        # document that holds several clauses is there several times, with the same score.
        distinct = "DISTINCT" if enough else ""
        return (
            f"SELECT {distinct} key, score FROM ({' UNION ALL '.join(branches)}) AS of_branches "
            f"ORDER BY score DESC, key LIMIT {limit}"
        )

    def _clauses(self, words: Words) -> list[str]:
        """SQL of each clause that adds to the score; what it adds is in `clause_weight<n>`."""
        found = []
        documents = f"{self._tables.documents} AS documents"
        for number, clause in enumerate((*words.required, *words.optional)):
            sql = clause.sql(self._bindings)
            self._add(
                f"clause_weight{number}",
                "SELECT ln(1 + (num - holders + 0.5) / (holders + 0.5)) AS weight FROM state, "
                f"(SELECT count(*) AS holders FROM {documents} WHERE {sql}) AS counted",
            )
            found.append(sql)
        return found

    def _columns(self, words: Words) -> list[str]:
        """SQL of what a document's score is computed from."""
        norm = f"{K1 * (1 - B)} + {K1 * B} * kept_length / average AS norm"
        place = f"{self._element_place}(terms.terms, {{}})"
        if len(words.weights) > _MAX_COLUMNS:
            places = place.format("id")
            return [norm, f"ARRAY(SELECT {places} FROM unnest(ids) AS one(id)) AS places"]
        numbers = range(1, len(words.weights) + 1)
        return [norm, *(f"{place.format(f'ids[{n}]')} AS place{n}" for n in numbers)]

    def _score(self, words: Words) -> str:
        """SQL of a document's score, by the formula of `twopass.index.words.scoring`."""

        def of_term(weight: str, place: str) -> str:
            count = f"get_byte(counts, {place} - 1)"
            bm25 = f"{weight} * {K1 + 1} * {count} / ({count} + norm)"
            return f"CASE WHEN {place} > 0 THEN {bm25} ELSE 0 END"

        if len(words.weights) > _MAX_COLUMNS:
            parts = [
                f"(SELECT sum({of_term('weight', 'place')}) "
                "FROM unnest(weights, places) AS one(weight, place))"
            ]
        else:
            numbers = range(1, len(words.weights) + 1)
            parts = [of_term(f"weights[{n}]", f"place{n}") for n in numbers]
        parts += [
            f"CASE WHEN holds{n} THEN (SELECT weight FROM clause_weight{n}) ELSE 0 END"
            for n in range(len(words.required) + len(words.optional))
        ]
        return " + ".join(parts) or "0"

    def _found(self, near: Near | None, words: Words | None) -> None:
        nothing = "NULL::{} AS {}"
        of_near = "similarity, first_token, end_token, exact"
        no_near = ", ".join(
            nothing.format(type_, name)
            for name, type_ in (
                ("similarity", "float8"),
                ("first_token", "integer"),
                ("end_token", "integer"),
                ("exact", "boolean"),
            )
        )
        if near is not None and words is not None:
            select = (
                f"SELECT coalesce(document, key) AS key, {of_near}, score "
                "FROM near FULL JOIN scored ON document = key"
            )
        elif near is not None:
            select = f"SELECT document AS key, {of_near}, NULL::float8 AS score FROM near"
        else:
            select = f"SELECT key, {no_near}, score FROM scored"
        self._add("found", select)
        if near is not None and words is not None:
            self._add(
                "beyond", self._similar(near.vector, "SELECT key FROM found WHERE exact IS NULL")
            )

    def _similar(self, vector: Float32s, keys: str) -> str:
        """SQL of the best window, or the vector, of some documents."""
        vectors = self._vectors
        query = self._bind(encode_vector(vector), f"{vectors}.vector")
        stored = self._kind.stored(query, vectors) if self._kind.is_half else query
        return (
            "SELECT DISTINCT ON (document) document, first_token, end_token, similarity FROM ("
            "SELECT document, first_token, end_token, "
            f"-(embedding OPERATOR({vectors}.<#>) {stored}) AS similarity "
            f"FROM {self._tables.vectors} WHERE document = ANY(ARRAY({keys}))) AS of_windows "
            "ORDER BY document, similarity DESC, first_token"
        )

    def _select(self, near: Near | None, words: Words | None, carried: Carried) -> str:
        """SQL of one row for each document found, and one without where there is none."""
        columns = [
            "incarnation, position, found.key, found.similarity, found.first_token",
            "found.end_token, exact, score, documents.key IS NOT NULL AS is_there",
        ]
        joins = [
            "LEFT JOIN found ON TRUE",
            f"LEFT JOIN {self._tables.documents} AS documents ON documents.key = found.key",
        ]
        if near is not None:
            columns.append("(SELECT count(*) FROM compared) AS num_compared")
        if words is not None:
            columns.append("num_left, num_cut, most_left")
            joins.append("CROSS JOIN left_out")
        if near is not None and words is not None:
            columns += [
                "beyond.similarity AS similarity_beyond, beyond.first_token AS first_beyond",
                "beyond.end_token AS end_beyond",
            ]
            joins.append("LEFT JOIN beyond ON beyond.document = found.key")
        columns += [f"{sql} AS {name}" for name, sql in carried.columns.items()]
        if carried.sized_columns:
            self._carried(carried)
            columns.append("coalesce(fits, FALSE) AS is_carried")
            joins.append("LEFT JOIN carried ON carried.key = found.key")
            columns += [
                f"CASE WHEN fits THEN {sql} END AS {name}"
                for name, sql in carried.sized_columns.items()
            ]
        return f"SELECT {', '.join(columns)} FROM state {' '.join(joins)}"

    def _carried(self, carried: Carried) -> None:
        """Which documents come with the sized columns; their sizes are known without reading."""
        self._add(
            "carried",
            f"SELECT key, sum(size) OVER (ORDER BY place) <= {_MAX_CARRIED_BYTES} AS fits FROM ("
            f"SELECT documents.key, {carried.size} AS size, row_number() OVER "
            "(ORDER BY similarity DESC NULLS LAST, score DESC NULLS LAST, documents.key) AS place "
            f"FROM found JOIN {self._tables.documents} AS documents ON documents.key = found.key"
            ") AS placed",
        )
