// Holds a GraphQL query on standard input against GitHub's own schema, and prints what is wrong with it.
// Usage: node graphql.mjs target/contract
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const schema = resolve(process.argv[2], "node_modules/@octokit/graphql-schema/schema.graphql");
const { buildSchema, parse, validate } = createRequire(schema)("graphql");
// GitHub's schema names some fields twice.
const known = buildSchema(readFileSync(schema, "utf8"), { assumeValid: true, assumeValidSDL: true });
const errors = validate(known, parse(readFileSync(0, "utf8")));
for (const error of errors) console.log(error.message);
