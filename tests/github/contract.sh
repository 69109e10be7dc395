#!/usr/bin/env bash
# Installs GitHub's description of its API, its example payloads and a validating proxy into target/contract.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p target/contract
npm install --silent --no-audit --no-fund --ignore-scripts --prefix target/contract \
    @octokit/openapi@23.0.2 @octokit/graphql-schema@15.26.1 @octokit/webhooks-examples@7.6.1 \
    @stoplight/prism-cli@5.16.0
node tests/github/trim.mjs target/contract/node_modules/@octokit/openapi/generated/api.github.com.json \
    target/contract/api.json target/contract/examples.json
