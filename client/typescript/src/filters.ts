import { create, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { NullValue, timestampFromDate } from "@bufbuild/protobuf/wkt";

import {
  type Condition,
  ConditionSchema,
  type Filter,
  FilterSchema,
  type Literal,
  LiteralSchema,
} from "./gen/twopass/v1/filter_pb.js";

/** What a field's value is compared with. A bigint is an integer of 64 bits; a Date is compared with texts that tell a time. */
export type Scalar = string | number | bigint | boolean | Date | null;
/** An end of an interval. */
export type Bound = string | number | bigint | Date;
/** Ends of an interval, at least one, all of one kind. */
export interface Bounds {
  gt?: Bound;
  gte?: Bound;
  lt?: Bound;
  lte?: Bound;
}

/** A test of one metadata field. A document without the field passes no test but `isMissing`. */
export interface Field {
  /** The value equals this one, in type too. */
  equals(value: Scalar): Condition;
  /** The value equals one of these, 1 to 1,000. */
  anyOf(values: Iterable<Scalar>): Condition;
  /** The value lies within these bounds. */
  within(bounds: Bounds): Condition;
  /** The text begins with this, case-sensitive. */
  startsWith(prefix: string): Condition;
  /** The document has the field. */
  exists(): Condition;
  /** The document does not have the field. */
  isMissing(): Condition;
}

/** A metadata field to test; dots reach into nested objects, as in "author.name". */
export function field(name: string): Field {
  type Test = NonNullable<
    Extract<NonNullable<MessageInitShape<typeof ConditionSchema>["condition"]>, { case: "field" }>["value"]
  >["test"];
  const condition = (test: NonNullable<Test>): Condition =>
    create(ConditionSchema, { condition: { case: "field", value: { field: name, test } } });
  return {
    equals: (value) => condition({ case: "equalToLiteral", value: literal(value) }),
    anyOf: (values) =>
      condition({ case: "anyOfLiterals", value: { values: Array.from(values, literal) } }),
    within: (bounds) => {
      const given = Object.entries(bounds).filter(([, bound]) => bound !== undefined);
      const literals = given.map(([name, bound]) => [name, literal(bound as Bound)]);
      return condition({ case: "interval", value: Object.fromEntries(literals) });
    },
    startsWith: (prefix) => condition({ case: "prefix", value: prefix }),
    exists: () => condition({ case: "exists", value: true }),
    isMissing: () => condition({ case: "exists", value: false }),
  };
}

/** The document's id is one of these, 1 to 10,000. */
export function documentIds(ids: Iterable<string>): Condition {
  return create(ConditionSchema, { condition: { case: "ids", value: { ids: [...ids] } } });
}

/** Every condition holds. */
export function allOf(...conditions: Condition[]): Condition {
  return nested(create(FilterSchema, { must: conditions }));
}

/** At least one condition holds. */
export function anyOf(...conditions: Condition[]): Condition {
  return nested(create(FilterSchema, { should: conditions }));
}

/** No condition holds. */
export function noneOf(...conditions: Condition[]): Condition {
  return nested(create(FilterSchema, { mustNot: conditions }));
}

/** A condition as the filter of a request. */
export function asFilter(wanted: Condition | Filter | undefined): Filter | undefined {
  if (wanted === undefined || wanted.$typeName === "twopass.v1.Filter") return wanted;
  return wanted.condition.case === "filter"
    ? wanted.condition.value
    : create(FilterSchema, { must: [wanted] });
}

/** The value that a literal of an answer stands for, as in facets; undefined for one of a later contract. */
export function valueOf({ literal }: Literal): Scalar | undefined {
  switch (literal.case) {
    case undefined:
      return undefined;
    case "null":
      return null;
    case "time":
      return new Date(Number(literal.value.seconds) * 1000 + literal.value.nanos / 1e6);
    default:
      return literal.value;
  }
}

function nested(filter: Filter): Condition {
  return create(ConditionSchema, { condition: { case: "filter", value: filter } });
}

function literal(value: Scalar): Literal {
  switch (typeof value) {
    case "string":
      return create(LiteralSchema, { literal: { case: "text", value } });
    case "number":
      return create(LiteralSchema, { literal: { case: "number", value } });
    case "bigint":
      return create(LiteralSchema, { literal: { case: "integer", value } });
    case "boolean":
      return create(LiteralSchema, { literal: { case: "boolean", value } });
    default:
      return create(LiteralSchema, {
        literal:
          value === null
            ? { case: "null", value: NullValue.NULL_VALUE }
            : { case: "time", value: timestampFromDate(value) },
      });
  }
}

/** What documents carry beside their text: any JSON object. */
export type Metadata = { [key: string]: JsonValue };
