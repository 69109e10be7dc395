// GitHub's description of its API, cut down to the paths that this program uses, and an example of each answer.
// Usage: node trim.mjs api.github.com.json api.json examples.json
import { readFileSync, writeFileSync } from "node:fs";

const [source, trimmed, examples] = process.argv.slice(2);
const api = JSON.parse(readFileSync(source, "utf8"));
const pulls = "/repos/{owner}/{repo}/pulls";
const issues = "/repos/{owner}/{repo}/issues";
const git = "/repos/{owner}/{repo}/git";
const compare = "/repos/{owner}/{repo}/compare/{basehead}";
const paths = [
  `${pulls}/{pull_number}`,
  `${pulls}/{pull_number}/files`,
  `${pulls}/{pull_number}/reviews`,
  `${pulls}/{pull_number}/reviews/{review_id}`,
  `${pulls}/{pull_number}/comments`,
  `${pulls}/comments`,
  `${pulls}/comments/{comment_id}`,
  `${issues}/{issue_number}/comments`,
  `${issues}/comments/{comment_id}`,
  `${git}/commits/{commit_sha}`,
  `${git}/trees/{tree_sha}`,
  `${git}/blobs/{file_sha}`,
  compare,
];

const out = { openapi: api.openapi, info: api.info, servers: api.servers, paths: {}, components: {} };
const pending = [];
const seen = new Set();
const follow = (value) => {
  if (Array.isArray(value)) value.forEach(follow);
  else if (value && typeof value === "object") {
    if (typeof value.$ref === "string" && !seen.has(value.$ref)) {
      seen.add(value.$ref);
      pending.push(value.$ref);
    }
    Object.values(value).forEach(follow);
  }
};
const resolve = (ref) => ref.slice(2).split("/").reduce((node, part) => node[part.replaceAll("~1", "/")], api);

for (const path of paths) {
  if (!api.paths[path]) throw new Error(`${path} is not in the description any more`);
  out.paths[path] = api.paths[path];
  follow(out.paths[path]);
}
while (pending.length > 0) {
  const ref = pending.pop();
  const [kind, name] = ref.slice("#/components/".length).split("/");
  (out.components[kind] ??= {})[name] = resolve(ref);
  follow(out.components[kind][name]);
}
// One of GitHub's examples lacks what its own schema requires.
const repair = (value) => {
  if (Array.isArray(value)) value.forEach(repair);
  else if (value && typeof value === "object") {
    for (const team of Array.isArray(value.requested_teams) ? value.requested_teams : []) team.type ??= "organization";
    Object.values(value).forEach(repair);
  }
};
repair(out);
writeFileSync(trimmed, JSON.stringify(out));

const example = (path, method, status) => {
  const found = Object.values(out.paths[path][method].responses[status].content["application/json"].examples)[0];
  const value = (found.$ref ? resolve(found.$ref) : found).value;
  return Array.isArray(value) ? value[0] : value;
};
writeFileSync(examples, JSON.stringify({
  pull: example(`${pulls}/{pull_number}`, "get", "200"),
  file: example(`${pulls}/{pull_number}/files`, "get", "200"),
  review: example(`${pulls}/{pull_number}/reviews`, "get", "200"),
  comment: example(`${pulls}/{pull_number}/comments`, "get", "200"),
  "issue-comment": example(`${issues}/{issue_number}/comments`, "get", "200"),
  commit: example(`${git}/commits/{commit_sha}`, "get", "200"),
  tree: example(`${git}/trees/{tree_sha}`, "get", "200"),
  blob: example(`${git}/blobs/{file_sha}`, "get", "200"),
  comparison: example(compare, "get", "200"),
}));
