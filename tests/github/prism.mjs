// A validating proxy with GitHub's description of its API, for as long as whoever started it holds its input open.
// Usage: node prism.mjs path/to/contract http://upstream port
import { createRequire } from "node:module";

const [contract, upstream, port] = process.argv.slice(2);
process.stdin.resume().on("end", () => process.exit());
// No `--errors`: then it would answer in place of the upstream. What it finds is in `sl-violations`.
process.argv = [process.argv[0], "prism", "proxy", `${contract}/api.json`, upstream, "--port", port, "--host", "127.0.0.1"];
createRequire(import.meta.url)(`${contract}/node_modules/@stoplight/prism-cli/dist/index.js`);
